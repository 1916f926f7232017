"""Every experiment says what it is, how it is run and which number to expect."""

import re

import pytest

from experiments.config.header import Header, read_header

GOOD = """# @package _global_
# A model: with a colon.
# command: python -m experiments.train experiment=x
# hardware: 2 CPU cores
# time: 12 min
# expected: test/hr@10 0.0863 +- 0.0030, test/ndcg@10 0.0501 +- 0.0020
# commit: 0123abc
defaults: []
"""


def test_every_experiment_has_a_header(repository):
    files = sorted((repository / "conf/experiment").glob("*.yaml"))
    assert len(files) >= 5
    for path in files:
        header = read_header(path)
        assert header.title.endswith(".")
        assert f"experiment={path.stem}" in header.command.split()
        assert not header.measured or re.fullmatch(r"[0-9a-f]{7,40}", header.commit)


def test_a_header_is_read(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(GOOD)
    assert read_header(path) == Header(
        title="A model: with a colon.",
        command="python -m experiments.train experiment=x",
        hardware="2 CPU cores",
        time="12 min",
        expected={"test/hr@10": (0.0863, 0.003), "test/ndcg@10": (0.0501, 0.002)},
        commit="0123abc",
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("# time: 12 min\n", ""), "it needs a title, then command, hardware, time, expected, commit"),
        (("12 min", "not measured"), "time not measured, the rest is; measure all or none"),
        (("0.0501 +- 0.0020", "about 0.05"), "is not of the form"),
    ],
)
def test_a_wrong_header_is_refused(change, says, tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(GOOD.replace(*change))
    with pytest.raises(ValueError, match=re.escape(says)):
        read_header(path)
