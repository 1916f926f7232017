"""What the simulated items are about: twelve everyday topics, in words that a language model read in pretraining."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """activities: phrases in -ing that stand after "about". details: noun phrases that stand after "with a look at"."""

    activities: tuple[str, ...]
    details: tuple[str, ...]


def _topic(activities: str, details: str) -> Topic:
    return Topic(tuple(activities.split("; ")), tuple(details.split("; ")))


TOPICS = (
    _topic(
        "baking sourdough bread; cooking fresh pasta; roasting vegetables; making chocolate cake; simmering soups; "
        "grilling fish; preparing spicy curry; frying crispy dumplings; decorating cupcakes; fermenting pickles",
        "oven temperatures; kitchen knives; herbs and spices; family recipes; sauces and stocks; seasonal ingredients",
    ),
    _topic(
        "growing tomatoes; pruning rose bushes; planting a herb bed; composting garden waste; raising seedlings; "
        "caring for houseplants; mowing the lawn; building raised beds; grafting fruit trees; attracting bees",
        "soil and fertiliser; watering schedules; garden tools; weeds and pests; greenhouse plants; spring bulbs",
    ),
    _topic(
        "running a marathon; lifting weights; stretching sore muscles; practising yoga; swimming laps; "
        "training for a triathlon; doing push-ups at home; cycling uphill; warming up before exercise; jumping rope",
        "heart rate; workout plans; running shoes; strength and endurance; recovery days; breathing technique",
    ),
    _topic(
        "photographing wildlife; taking portraits; shooting landscapes at dawn; editing raw photos; "
        "choosing a camera lens; developing film; lighting a studio; capturing street scenes; framing a picture; "
        "filming with a drone camera",
        "exposure and aperture; tripods and flashes; shutter speed; colour correction; composition; photo prints",
    ),
    _topic(
        "observing the planets; tracking comets; building a telescope; mapping the stars; exploring Mars; "
        "launching satellites; studying black holes; watching meteor showers; living on a space station; "
        "measuring distant galaxies",
        "the solar system; rocket engines; the night sky; gravity and orbits; lunar craters; famous astronauts",
    ),
    _topic(
        "playing blues guitar; singing in a choir; composing piano music; drumming in a band; reading sheet music; "
        "tuning a violin; recording an album; improvising jazz solos; writing song lyrics; conducting an orchestra",
        "chords and scales; rhythm and tempo; live concerts; amplifiers and microphones; melodies; music theory",
    ),
    _topic(
        "backpacking through Asia; booking cheap flights; touring old European cities; travelling by train; "
        "packing a suitcase; island hopping; staying in small hotels; crossing borders by bus; planning a road trip; "
        "visiting famous museums abroad",
        "passports and visas; local customs; city maps; hostels and hotels; sightseeing routes; travel insurance",
    ),
    _topic(
        "renovating a bathroom; painting interior walls; laying wooden floors; fixing leaky pipes; hanging wallpaper; "
        "building bookshelves; insulating the attic; tiling a kitchen; repairing a roof; wiring new lamps",
        "power drills; paint and primer; plumbing parts; carpentry joints; hardware stores; electrical safety",
    ),
    _topic(
        "training a puppy; feeding a cat; grooming long-haired dogs; keeping goldfish; adopting a shelter animal; "
        "teaching a parrot to talk; walking several dogs; raising rabbits; brushing a horse; calming anxious pets",
        "visits to the vet; pet food; leashes and collars; animal behaviour; vaccinations; toys and treats",
    ),
    _topic(
        "playing strategy video games; beating the final boss; designing game levels; building a gaming computer; "
        "speedrunning platform games; collecting retro consoles; streaming online matches; exploring open worlds; "
        "solving puzzle games; levelling up a character",
        "graphics cards; controllers and joysticks; multiplayer tournaments; hidden bonus stages; arcade classics; "
        "role-playing quests",
    ),
    _topic(
        "saving for retirement; investing in the stock market; paying off a mortgage; planning a household budget; "
        "filing tax returns; comparing bank loans; buying government bonds; building an emergency fund; "
        "avoiding credit card debt; choosing index funds",
        "interest rates; dividends and fees; inflation; savings accounts; financial advisers; pension schemes",
    ),
    _topic(
        "exploring ancient Rome; studying medieval castles; digging up Egyptian tombs; remembering the world wars; "
        "following the Silk Road; reading about Viking raids; tracing royal dynasties; "
        "understanding the industrial revolution; deciphering old manuscripts; retelling Greek battles",
        "kings and emperors; archaeological finds; old chronicles; treaties and empires; historical maps; "
        "daily life centuries ago",
    ),
)

TITLES = (
    "A Guide to {}",
    "The Joy of {}",
    "{} for Beginners",
    "The Art of {}",
    "{} Step by Step",
    "Secrets of {}",
    "Getting Better at {}",
    "{} Made Simple",
    "A Year of {}",
    "Adventures in {}",
)

OPENINGS = (
    "A book about {}",
    "A short film about {}",
    "An online course about {}",
    "A weekly podcast about {}",
    "A magazine about {}",
    "A series of lessons about {}",
)

QUALITIES = (
    "Reviewers found it dull and carelessly made.",
    "Reviewers found it uneven.",
    "Reviewers found it solid.",
    "Reviewers found it engaging and well made.",
    "Reviewers found it brilliant, a favourite of the year.",
)
"""From worst to best: the text tells something of how popular an item will be."""
