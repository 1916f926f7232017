"""Row: real tokens a second of full fine-tuning on MIND titles, ours against sentence-transformers' trainer."""

from statistics import median

from benchmarks.loops.corpora import mind_titles
from benchmarks.measuring.ratio import paired_ratio
from benchmarks.measuring.row import Bench, Row, Side
from benchmarks.measuring.served import Command, Record, alternate
from benchmarks.peers.environment import peer_python, peer_versions
from benchmarks.rows.tuning import command, described
from experiments.runs.provenance import ROOT

MILLION = 1e6
ROUNDS = 3


def benches() -> dict[str, Bench]:
    """One row; nothing is asked of it."""
    return {"sentences": Bench("fine-tuning on MIND titles against sentence-transformers' trainer", measure, 6)}


def measure(quick: bool) -> list[Row]:
    """Ours recommends and theirs learns pairs; alike is the work on texts: the cost of a million real tokens."""
    python = peer_python("sentence_transformers")
    folder = mind_titles().relative_to(ROOT)
    words = ("-m", "benchmarks.peers.sentence_transformers_loop", "--corpus", str(folder))
    commands = {
        "ours": command("ours", "mind", "full", 16 if quick else 128),
        "sentence-transformers": Command((*words, "--steps", "1" if quick else "8"), python),
    }
    records = alternate(commands, 1 if quick else ROUNDS)
    found = paired_ratio(*([turn.rate("tokens") for turn in record.turns] for record in records.values()))
    sides = [side(loop, record) for loop, record in records.items()]
    versions = peer_versions(python, ("sentence-transformers", "torch", "transformers"))
    detail = {"peer_versions": versions} | {loop: described(record) for loop, record in records.items()}
    what = "MIND titles, full fine-tuning of texts"
    row = Row(
        "sentences",
        what,
        "CPU seconds per million real tokens",
        sides,
        ratio=found.median,
        goal=None,
        spread=(found.low, found.high),
        detail=detail,
    )
    return [row]


def side(what: str, record: Record) -> Side:
    """A loop with its median cost."""
    return Side(what, record.command.shown(), MILLION * median(turn.rate("tokens") for turn in record.turns))
