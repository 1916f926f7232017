"""What the README tells a person to type works: its commands compose, its programs, make targets and links exist."""

import re
import shlex
from importlib import import_module

import pytest

from experiments.config.compose import compose


@pytest.fixture(scope="module")
def readme(repository):
    return (repository / "README.md").read_text("utf-8")


def _commands(readme, program):
    found = re.findall(rf"^    (python -m experiments\.{program} .*)$", readme, re.MULTILINE)
    assert found
    return [shlex.split(command)[3:] for command in found]


@pytest.mark.parametrize("program", ["train", "describe", "adapt"])
def test_its_commands_compose(program, readme):
    root = "adapt" if program == "adapt" else "train"
    for words in _commands(readme, program):
        swept = [word for word in words if "=" in word]
        assert compose([re.sub(r",.*", "", word) for word in swept], root)
        for word in swept:
            key, values = word.split("=", 1)
            assert all(compose([f"{key}={value}"], root) for value in values.split(","))


def test_the_words_between_its_commands_compose(readme):
    """Such as `few_shot=share datamodule.few_shot.share=0.05`, but for those with a name to be filled in."""
    told = [words.split() for words in re.findall(r"`([a-z_.]+=[^`]+)`", readme)]
    ready = [words for words in told if not re.search(r"[A-Z]{3}|://|head=cosine", " ".join(words))]
    assert ["few_shot=share", "datamodule.few_shot.share=0.05"] in ready
    assert len(ready) >= 7
    for words in ready:
        assert compose(words)


@pytest.mark.parametrize("program", ["tabulate", "export", "evaluate", "recommend", "explain"])
def test_its_options_exist(program, readme, capsys):
    """No run lies where it says, which is a fault of another kind."""
    main = import_module(f"experiments.{program}").main
    for words in _commands(readme, program):
        try:
            status = main(words)
        except SystemExit as end:
            status = end.code
        said = capsys.readouterr().err
        assert status not in (0, 2), said
        assert "usage:" not in said


def test_its_programs_exist(readme, repository):
    programs = set(re.findall(r"python -m experiments\.(\w+)", readme))
    assert len(programs) >= 5
    assert {name for name in programs if not (repository / "experiments" / f"{name}.py").is_file()} == set()


def test_its_make_targets_exist(readme, repository):
    makefile = (repository / "Makefile").read_text("utf-8")
    targets = {
        word for line in re.findall(r"^    make ([a-z -]+?)(?: +#.*)?$", readme, re.MULTILINE) for word in line.split()
    }
    assert {"demo", "test", "test-all", "lint"} <= targets
    assert {name for name in targets if not re.search(rf"^{name}:", makefile, re.MULTILINE)} == set()


def test_its_links_exist(readme, repository):
    links = re.findall(r"\]\(([^)#]+)", readme)
    assert len(links) >= 3
    assert [link for link in links if "://" not in link and not (repository / link).exists()] == []


def test_every_check_of_the_makefile_is_a_program(repository):
    makefile = (repository / "Makefile").read_text("utf-8")
    checks = re.search(r"^CHECKS := (.*)$", makefile, re.MULTILINE)
    assert checks
    names = checks[1].split()
    assert len(names) >= 9
    assert [name for name in names if not (repository / "benchmarks" / f"check_{name}.py").is_file()] == []
