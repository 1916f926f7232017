"""Preparation in processes that are killed, run at once or find no room."""

import signal

from tests.datamodules.small_corpus import child, entries, output_of, prepared, random_events

PREPARE = """
import os, resource, signal, sys
from dataclasses import dataclass, field
from pathlib import Path
from datamodules.preparing import preparation
from datamodules.corpus import DataError
from tests.datamodules.small_corpus import FixedSource, corpus, random_events

root, how = Path(sys.argv[1]), sys.argv[2]

@dataclass(frozen=True)
class CountingSource(FixedSource):
    def load(self):
        with open(root / "loads", "a") as file:
            file.write("x")
        return self.corpus

write = preparation.write_prepared
def killed(*arguments):
    write(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
if how == "killed":
    preparation.write_prepared = killed
if how == "limited":
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))
source = CountingSource(corpus(random_events(0)))
print("ready", flush=True)
sys.stdin.readline()
try:
    print(preparation.prepare(source, preparation.Filters(), root).digest)
except DataError as error:
    print(error)
"""


def test_a_killed_preparation_is_not_taken_for_a_finished_one(tmp_path):
    process = child(PREPARE, tmp_path, "killed")
    process.communicate("\n")
    assert process.returncode == -signal.SIGKILL
    assert not list((tmp_path / "prepared").glob("small-*"))
    after = output_of(PREPARE, tmp_path, "").split()[1]
    assert after == prepared(tmp_path / "undisturbed", random_events(0)).digest
    assert len(entries(tmp_path / "prepared")) == 2
    assert (tmp_path / "loads").read_text() == "xx"


def test_two_processes_at_once_prepare_once(tmp_path):
    both = [child(PREPARE, tmp_path, "") for _ in range(2)]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    digests = {process.communicate()[0] for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert len(digests) == 1
    assert (tmp_path / "loads").read_text() == "x"


def test_a_disk_that_fills_up_leaves_nothing_half_written(tmp_path):
    message = output_of(PREPARE, tmp_path, "limited")
    assert f"{tmp_path}/prepared: cannot write small-" in message
    assert "no room (File too large" in message
    assert all(name.endswith(".lock") for name in entries(tmp_path / "prepared"))
