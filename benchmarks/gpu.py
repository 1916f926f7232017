"""Measure on a GPU what `benchmarks.bench` measures on a CPU, in one call of less than ten minutes.

    python -m benchmarks.gpu                         every measurement
    python -m benchmarks.gpu matmul ml100k_full      the named ones
    python -m benchmarks.gpu --device cpu --quick    a slice of each, on any machine: whether it runs

Loops take turns within this process, A B A B ..., and seconds by the clock on the wall are compared, since a GPU's work
takes no processor's. Each measurement is written to FOLDER/gpu_NAME.json as soon as it is made. When the time is up,
the rest is left out and named. What another machine needs for it, and what each row means: docs/gpu.md.
"""

import argparse
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.checking import data_dir
from benchmarks.loops.carried import FOLDER, unpack
from benchmarks.loops.place import DEVICES, Place
from benchmarks.loops.setting import quiet
from benchmarks.measuring.row import RESULTS, Row
from benchmarks.rows import gpu_checks, gpu_memory, gpu_ranking, gpu_speed, gpu_tuning
from benchmarks.rows.gpu_report import keep, show
from benchmarks.rows.tuning import COMPETENT, CORPORA
from experiments.config import hardware

MINUTES = 8.5
"""After these nothing is begun; what is under way then takes a minute at most."""
FAULTS = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError, ImportError, OSError)
"""End a measurement and not the program: the machine is there for minutes, and the other rows are still wanted."""


@dataclass(frozen=True)
class Measurement:
    """about: in a line. measure: makes its rows."""

    about: str
    measure: Callable[[Place], list[Row]]


def measurements() -> dict[str, Measurement]:
    """All by name, in the order in which they are made: what no CPU can show comes first."""
    found = {
        "matmul": Measurement("what the device multiplies in bf16, tf32 and fp32", gpu_speed.products),
        "checks": Measurement("the CPU's vectors, the same gradients when computed again", checks),
        "memory": Measurement("a step that runs out of memory; frozen states stay on the host", memory),
        "bert": Measurement("a step of BERT-base as a share of a product and of the bare model", gpu_speed.bert),
        "ranking": Measurement(
            "exact graph ranking of 256 users x 50 nodes x 1,000,000 items x 384", gpu_ranking.measure
        ),
    }
    for corpus, title in CORPORA.items():
        for strategy in COMPETENT:
            about = f"{title}, {strategy}: ours against the competent loop"
            found[f"{corpus}_{strategy}"] = Measurement(about, partial(gpu_tuning.measure, corpus, strategy))
    return found


def checks(place: Place) -> list[Row]:
    """Of what is computed."""
    return gpu_checks.forward(place) + gpu_checks.recomputed(place)


def memory(place: Place) -> list[Row]:
    """Of memory."""
    return gpu_memory.retried(place) + gpu_memory.host_states(place)


def main() -> int:
    """Entry point: 1 where a measurement failed or was left out, or something that was asked is not reached."""
    known, given = measurements(), _parser().parse_args()
    unknown = sorted(set(given.names) - set(known))
    if unknown:
        raise SystemExit(f"there is no measurement {', '.join(unknown)}; there are: {', '.join(known)}")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    place = Place(given.device, given.quick, unpack(given.carried))
    place.require()
    data_dir()
    end = time.perf_counter() + 60 * given.minutes
    rows: list[Row] = []
    failed: list[str] = []
    late: list[str] = []
    for name in given.names or known:
        if time.perf_counter() >= end:
            late.append(name)
            continue
        print(f"{name}: {known[name].about}", flush=True)
        found = measured(name, known[name], place, given.out)
        failed += [name] if found is None else []
        rows += found or []
    show(rows)
    print(f"{hardware.describe()}, on {place.device}{'; a slice, which measures nothing' if place.quick else ''}")
    for what, names in (("failed", failed), (f"left out, as {given.minutes:g} minutes were over", late)):
        if names:
            print(f"{what}: {', '.join(names)}")
    print(given.out)
    return int(bool(failed or late) or any(row.reached is False for row in rows))


def measured(name: str, chosen: Measurement, place: Place, out: Path) -> list[Row] | None:
    """Its rows, written down; None where it fails, after saying how."""
    started = time.perf_counter()
    quiet()
    try:
        rows = chosen.measure(place)
    except FAULTS:
        traceback.print_exc(file=sys.stdout)
        return None
    finally:
        place.clear()
    print(f"  {keep(rows, name, place, out)}, {time.perf_counter() - started:.0f} s", flush=True)
    return rows


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.gpu", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(measurements())} (default: all)")
    parser.add_argument("--device", choices=DEVICES, default=DEVICES[0])
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--quick", action="store_true", help="a slice of each, with a tiny language model")
    parser.add_argument(
        "--carried", type=Path, default=FOLDER, help="what `benchmarks.loops.carried` wrote, if anything"
    )
    parser.add_argument("--minutes", type=float, default=MINUTES, help="begin nothing after so many")
    return parser


if __name__ == "__main__":
    sys.exit(main())
