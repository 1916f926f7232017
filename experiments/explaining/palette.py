"""Colours that people with any colour vision tell apart (Okabe & Ito 2008), and which text is read on them."""

from experiments.figures.style import COLOURS

GROUPS = COLOURS[:6]
PRIOR = "#9a9a9a"


def group_colour(group: int) -> str:
    """The colour of a group of interests."""
    return GROUPS[group % len(GROUPS)]


def text_on(colour: str) -> str:
    """Black or white, whichever stands out (relative luminance with the weights of ITU-R BT.709)."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return "white" if 0.2126 * red + 0.7152 * green + 0.0722 * blue < 130 else "#1a1a1a"
