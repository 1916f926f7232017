"""Runs as processes whose training is faked: the folder in which that happens, and the command."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

# Python reads a module of this name at start-up: it puts the stand-in in the place of the real training.
START = """
import atexit, sys
from importlib.util import spec_from_file_location
from pathlib import Path

here = Path(__file__).parent

class StandIn:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return spec_from_file_location(name, here / "stand_in.py") if name == "experiments.training" else None

sys.meta_path.insert(0, StandIn)

@atexit.register
def leave():
    if sys.argv[0].endswith("train.py"):
        (here / "imported.txt").write_text("\\n".join(sys.modules))
"""
TRAIN = """
import os, signal, subprocess, sys, time
from pathlib import Path

here = Path(__file__).parent

def train(config, folder, keep):
    seed, rank = config["seed"], os.environ.get("LOCAL_RANK", "0")
    with (here / "trained.txt").open("a") as file:
        file.write(f"{seed} {(folder / 'last.ckpt').exists()}\\n")
    print(f"seed {seed} in a terminal: {sys.stdout.isatty()}", flush=True)
    (folder / "last.ckpt").touch()
    if seed == 1:
        raise RuntimeError("seed 1 never works")
    if seed == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    (here / f"pid-{rank}").write_text(str(os.getpid()))
    if (here / "ranks").exists() and rank == "0":
        subprocess.Popen([sys.executable, "-m", "experiments.job", str(folder)], env=os.environ | {"LOCAL_RANK": "1"})
    while (here / "hold").exists():
        time.sleep(0.05)
    keep({"metrics": {"test/hr@10": 0.25}, "intervals": {}, "cost": {"seconds": 1.0}})
"""
PATIENCE = 240.0
"""Seconds until a test that waits for another process gives up."""


@dataclass(frozen=True)
class Bench:
    """A folder with the stand-in, and the command."""

    here: Path
    environment: dict[str, str]

    def start(self, *words: str, module: str = "train", **more) -> subprocess.Popen:
        command = [sys.executable, "-m", f"experiments.{module}", *words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        # what runs in a shell's background ignores Ctrl-C, and its children inherit that
        default = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        options = {"env": self.environment, "cwd": self.here, "preexec_fn": default}
        return subprocess.Popen(command, **(options | pipes | more))

    def train(self, *words: str) -> tuple[int, list[str], str]:
        """Exit status, lines of standard output, standard error."""
        process = self.start(*self.words(*words))
        out, error = process.communicate(timeout=PATIENCE)
        return process.returncode, out.splitlines(), error

    def words(self, *words: str) -> list[str]:
        return [*words, "experiment=sasrec", "datamodule.source.users=40", f"cache_dir={self.here.parent / 'cache'}"]

    def trained(self) -> list[str]:
        """One line for every training that began: its seed, and whether it found a checkpoint."""
        path = self.here / "trained.txt"
        return path.read_text().splitlines() if path.exists() else []

    def wait_for(self, name: str) -> str:
        end = time.monotonic() + PATIENCE
        while not (self.here / name).exists() or not (self.here / name).read_text():
            assert time.monotonic() < end, f"{name} never came"
            time.sleep(0.02)
        return (self.here / name).read_text()

    def processes(self) -> dict[int, str]:
        """What runs of all that its commands started, also where it left them: process -> command line."""
        found, ours = {}, re.compile(re.escape(str(self.here)) + r"(?!\d)")
        for process in Path("/proc").iterdir():
            try:
                if process.name.isdigit() and ours.search((process / "environ").read_text(errors="replace")):
                    found[int(process.name)] = (process / "cmdline").read_text().replace("\0", " ")[:80]
            except OSError:  # another user's, or gone meanwhile
                continue
        return {number: line for number, line in found.items() if line}

    def end(self) -> None:
        """A test that failed halfway leaves nothing that runs."""
        while left := self.processes():
            for number in left:
                with suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
            time.sleep(0.1)

    def results(self) -> dict[int, dict]:
        found = [json.loads(path.read_text()) for path in (self.here / "runs").glob("*/result.json")]
        return {record["config"]["seed"]: record for record in found}


def lay_out(here: Path, repository: Path) -> Bench:
    """The stand-in's files, in an empty folder."""
    (here / "sitecustomize.py").write_text(START)
    (here / "stand_in.py").write_text(TRAIN)
    path = os.pathsep.join([str(here), str(repository)])
    return Bench(here, os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"})
