"""What no result needs goes, and nothing else does."""

from pathlib import Path

import pytest

from datamodules.storage import lease
from experiments import clean
from experiments.clean import main
from experiments.runs.folder import RunFolder
from tests.experiments.fabricated import write_failed, write_json, write_run, write_sweep

ASIDE = ".done-0123456789abcdef0123456789abcdef"


@pytest.fixture
def root(tmp_path):
    for folder in (write_run(tmp_path, "done"), write_failed(tmp_path, "failed"), write_failed(tmp_path, "named")):
        for name in ("last.ckpt", "best.ckpt"):
            (folder / name).write_bytes(b"weights")
    (tmp_path / "begun").mkdir()
    for name, value in (("overrides.json", ["seed=0"]), ("config.json", {"seed": 0})):
        write_json(tmp_path / "begun" / name, value)
    write_sweep(tmp_path, "kept", [("named", [])])
    (tmp_path / "sweeps" / ".hydra").mkdir()
    for name in (ASIDE, ".my-own-notes", f"{ASIDE}-kept"):
        (tmp_path / name).mkdir()
    (tmp_path / "done" / ".result.json.x.partial").mkdir()
    (tmp_path / "cache" / "tokens").mkdir(parents=True)
    (tmp_path / ".leases").mkdir()
    (tmp_path / "weights").mkdir()
    write_json(tmp_path / "weights" / "config.json", {"model_type": "bert"})
    return tmp_path


def files(root):
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.parent.name != ".leases"}


def test_what_a_result_needs_stays(root):
    before = files(root)
    assert main([str(root), "--yes"]) == 0
    gone = before - files(root)
    assert gone == {"done/last.ckpt", "done/.result.json.x.partial", ASIDE, "sweeps/.hydra"}


def test_more_goes_where_it_is_asked_for(root):
    assert main([str(root), "--yes", "--unfinished", "--caches"]) == 0
    left = files(root)
    assert not {"failed", "begun", "cache"} & left
    kept = {"named/last.ckpt", "done/best.ckpt", "done/result.json", "sweeps/kept.json", "weights/config.json"}
    assert kept <= left


def test_without_a_person_to_ask_nothing_goes(root, capsys):
    before = files(root)
    assert main([str(root)]) == 0
    assert files(root) == before
    said = capsys.readouterr()
    assert "nothing was removed" in said.out
    assert "--yes" in said.err


@pytest.mark.parametrize(("answer", "goes"), [("y", True), ("YES", True), ("n", False), ("", False)])
def test_a_person_decides(root, monkeypatch, answer, goes):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda question: answer)
    assert main([str(root)]) == 0
    assert ("done/last.ckpt" not in files(root)) == goes


def test_what_a_process_works_on_stays(root, capsys):
    with lease(root / ".leases" / "begun.child"), lease(root / "done" / ".result.json.x.partial" / "owner"):
        assert main([str(root), "--yes", "--unfinished"]) == 0
        assert {"begun/config.json", "done/.result.json.x.partial/owner"} <= files(root)
        capsys.readouterr()
        assert main([str(root), "--yes", "--caches"]) == 1
    assert "begun is running and reads the caches" in capsys.readouterr().err


def test_a_clean_folder_is_left_alone_and_an_absent_one_refused(tmp_path, capsys):
    write_run(tmp_path, "done")
    assert main([str(tmp_path)]) == 0
    assert "nothing here that no result needs" in capsys.readouterr().out
    assert main([str(tmp_path / "absent")]) == 1


@pytest.mark.parametrize("who", ["parent", "child"])
def test_nothing_of_a_run_that_is_worked_on_goes(root, capsys, who):
    """Its parent has claimed it and its child has not begun, or the child writes and its parent was killed."""
    with RunFolder(root / "done").claim() if who == "parent" else RunFolder(root / "done").occupy():
        assert main([str(root), "--yes"]) == 0
        assert {"done/last.ckpt", ASIDE} <= files(root)
    with RunFolder(root / "failed").claim() if who == "parent" else RunFolder(root / "failed").occupy():
        assert main([str(root), "--yes", "--unfinished"]) == 0
        assert "failed/last.ckpt" in files(root)
        assert "begun" not in files(root)
    capsys.readouterr()
    with RunFolder(root / "not-there-yet").claim():
        assert main([str(root), "--yes", "--caches"]) == 1
    assert "not-there-yet is running and reads the caches" in capsys.readouterr().err


def test_what_a_process_took_up_while_the_question_stood_stays(root, monkeypatch, capsys):
    claims = [RunFolder(root / name).claim() for name in ("done", "begun")]

    def agreed(question):
        for claim in claims:
            claim.__enter__()
        write_sweep(root, "newer", [("failed", [])])
        return "yes"

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", agreed)
    assert main([str(root), "--unfinished", "--caches"]) == 0
    for claim in claims:
        claim.__exit__(None, None, None)
    assert {"done/last.ckpt", "begun/config.json", "failed/last.ckpt", "cache/tokens", ASIDE} <= files(root)
    assert f"{root / 'done' / 'last.ckpt'} stays: a process works on it" in capsys.readouterr().out
    assert "sweeps/.hydra" in files(root)  # a launcher keeps there what its jobs read


def test_a_folder_that_holds_no_runs_is_refused_and_left_as_it_is(tmp_path, capsys):
    for name in (ASIDE, ".file.x.partial", "cache", "weights"):
        (tmp_path / name).mkdir()
    write_json(tmp_path / "weights" / "config.json", {"model_type": "bert"})
    before = files(tmp_path)
    assert main([str(tmp_path), "--yes", "--unfinished", "--caches"]) == 1
    assert "no folder of runs: it holds neither a run nor a sweep" in capsys.readouterr().err
    assert files(tmp_path) == before
    assert not Path(tmp_path, ".leases").exists()


def test_a_file_that_goes_while_it_is_counted_stops_nothing(root, monkeypatch):
    of_path = clean._files
    monkeypatch.setattr(clean, "_files", lambda path: [*of_path(path), path.with_name("gone")])
    assert main([str(root), "--yes"]) == 0
    assert "done/last.ckpt" not in files(root)


def test_of_a_link_to_another_disk_what_it_holds_goes_and_the_link_stays(root, capsys):
    disk = root.parent / f"{root.name}-disk"
    (root / "cache").rename(disk)
    (root / "cache").symlink_to(disk)
    (disk / "corpus.json").write_text("{}")
    (disk / "tokens" / "0.npy").write_bytes(b"0")
    (disk / "weights").symlink_to(root / "weights")
    assert main([str(root), "--yes", "--caches"]) == 0
    assert (root / "cache").is_symlink()
    assert list(disk.iterdir()) == []
    assert (root / "weights" / "config.json").exists()
    capsys.readouterr()
    assert main([str(root), "--yes", "--caches"]) == 0
    assert "nothing here that no result needs" in capsys.readouterr().out
