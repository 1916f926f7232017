"""What no result needs goes, and nothing else does."""

import pytest

from datamodules.storage import lease
from experiments.clean import main
from tests.experiments.fabricated import write_failed, write_json, write_run, write_sweep


@pytest.fixture
def root(tmp_path):
    for folder in (write_run(tmp_path, "done"), write_failed(tmp_path, "failed"), write_failed(tmp_path, "named")):
        for name in ("last.ckpt", "best.ckpt"):
            (folder / name).write_bytes(b"weights")
    (tmp_path / "begun").mkdir()
    write_json(tmp_path / "begun" / "config.json", {"seed": 0})
    write_sweep(tmp_path, "kept", [("named", [])])
    (tmp_path / "sweeps" / ".hydra").mkdir()
    (tmp_path / ".done-lora-0123").mkdir()
    (tmp_path / "done" / ".result.json.x.partial").mkdir()
    (tmp_path / "cache" / "tokens").mkdir(parents=True)
    (tmp_path / ".leases").mkdir()
    return tmp_path


def files(root):
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def test_what_a_result_needs_stays(root):
    before = files(root)
    assert main([str(root), "--yes"]) == 0
    gone = before - files(root)
    assert gone == {"done/last.ckpt", "done/.result.json.x.partial", ".done-lora-0123", "sweeps/.hydra"}


def test_more_goes_where_it_is_asked_for(root):
    assert main([str(root), "--yes", "--unfinished", "--caches"]) == 0
    left = files(root)
    assert not {"failed", "begun", "cache"} & left
    assert {"named/last.ckpt", "done/best.ckpt", "done/result.json", "sweeps/kept.json"} <= left


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
