"""What the README tells a person to type works: its commands compose, its programs, make targets and links exist."""

import re
import shlex

import pytest

from experiments.config.compose import compose


@pytest.fixture(scope="module")
def readme(repository):
    return (repository / "README.md").read_text("utf-8")


def _commands(readme, program):
    found = re.findall(rf"^    (python -m experiments\.{program} .*)$", readme, re.MULTILINE)
    assert found
    return [shlex.split(command)[3:] for command in found]


@pytest.mark.parametrize("program", ["train", "describe"])
def test_its_commands_compose(program, readme):
    for words in _commands(readme, program):
        swept = [word for word in words if "=" in word]
        assert compose([re.sub(r",.*", "", word) for word in swept])
        for word in swept:
            key, values = word.split("=", 1)
            assert all(compose([f"{key}={value}"]) for value in values.split(","))


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
