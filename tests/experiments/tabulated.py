"""What the program says of runs."""

from experiments.tabulate import main


def table(capsys, *arguments):
    """Lines of the file that the program made, after checking that it says where."""
    assert main([str(argument) for argument in arguments]) == 0
    path = capsys.readouterr().out.splitlines()[-1]
    with open(path, encoding="utf-8") as file:  # noqa: PTH123
        return file.read().splitlines()


def row(lines, name):
    return next(line for line in lines if line.startswith(f"| {name} "))


def refusal(capsys, *arguments):
    assert main([str(argument) for argument in arguments]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    return said.err
