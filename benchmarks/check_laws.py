"""The tests of each law, and how they went.

    python -m benchmarks.check_laws [--slow]

A test file belongs to the laws that its docstring, or that of a test in it, names as "Law 2"; where tests name one
themselves, those alone count for it.
"""

import argparse
import ast
import re
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

from benchmarks.checking import Check, run
from experiments.runs.provenance import ROOT

LAWS = {
    1: "an evaluated number depends on the model and the data alone",
    2: "a user scores the same alone and in a batch",
    3: "no leak from the future",
    4: "a strategy trains exactly what it declares",
    5: "save, load, go on: the same numbers",
    6: "every fast path equals its slow twin",
    7: "metrics agree with an independent implementation",
    8: "the protocol owns the tie rule, and NaN raises",
    9: "graph and dot differ, and the oracle is not beaten",
}
MINUTES = 8


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser("python -m benchmarks.check_laws", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--slow", action="store_true", help="the tests that take minutes too")
    check = Check("Does each law have its tests, and do they pass?")
    places = {law: tests_of(law) for law in LAWS}
    outcomes, seconds = outcomes_of(
        sorted({place for found in places.values() for place in found}), parser.parse_args().slow
    )
    for law, text in LAWS.items():
        states = [state for place, state in outcomes if any(place.startswith(of) for of in places[law])]
        counts = {state: states.count(state) for state in ("passed", "skipped", "failed")}
        found = ", ".join(f"{count} {state}" for state, count in counts.items())
        files = ", ".join(sorted({Path(place.split("::")[0]).name for place in places[law]})) or "no test names it"
        check.hold(
            f"law {law}, {text} [{files}]",
            found,
            "some passed, none failed",
            bool(counts["passed"]) and not counts["failed"],
        )
    check.hold("time of these tests", f"{seconds / 60:.1f} min", f"<= {MINUTES} min", seconds <= 60 * MINUTES)
    return check.close()


def tests_of(law: int) -> list[str]:
    """FILE or FILE::TEST of everything whose docstring names the law."""
    found = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        tree, place = ast.parse(path.read_text(encoding="utf-8")), path.relative_to(ROOT).as_posix()
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and names(node, law)]
        if functions:
            found += [f"{place}::{function.name}" for function in functions]
        elif names(tree, law):
            found.append(place)
    return found


def names(node: ast.Module | ast.FunctionDef, law: int) -> bool:
    """Whether a docstring speaks of "Law 2", "laws 1 and 2" or "law 2 of the design"."""
    lists = re.findall(r"\blaws? (\d+(?:(?:, | and |, and )\d+)*)", ast.get_docstring(node) or "", re.IGNORECASE)
    return any(str(law) in re.findall(r"\d+", listed) for listed in lists)


def outcomes_of(places: list[str], slow: bool) -> tuple[list[tuple[str, str]], float]:
    """FILE::TEST and passed, skipped or failed of each case, and the seconds that all took."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        words = ["-q", "-n", "2", "--dist", "loadfile", f"--junitxml={report}", *([] if slow else ["-m", "not slow"])]
        env = {"OMP_NUM_THREADS": "1"}
        finished = run("pytest", [*words, "-o", "junit_family=xunit1", *places], env, may_fail=True)
        cases = list(ET.parse(report).iter("testcase"))
    if finished.status:
        print(finished.out)
    return [(f"{case.get('file')}::{case.get('name')}", state_of(case)) for case in cases], finished.seconds


def state_of(case: ET.Element) -> str:
    """JUnit says what befell a case by the elements within it."""
    inner = {child.tag for child in case}
    return "failed" if inner & {"failure", "error"} else "skipped" if "skipped" in inner else "passed"


if __name__ == "__main__":
    sys.exit(main())
