"""Search for the best setting, with as many trials as are asked for.

    python -m experiments.tune datamodule=movielens 'optimizer.lr=tag(log,interval(1e-4,1e-2))' --trials 20
    python -m experiments.tune ... --rows strategy=frozen,lora,full --prune --workers 2

A word that names a range instead of a value (Hydra's choice, range, interval, tag(log, ...)) is searched; all others
hold for every trial. A trial is a run like any other, in its own folder. The study lies on disk: killed and started
again it goes on where it was, and ends with the number of trials that was asked for. The best setting, by validation,
becomes an experiment's YAML, whose path is the last line of standard output; with several objectives each setting that
none beats in all of them becomes one.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from functools import partial
from itertools import product
from pathlib import Path

from rich.console import Console

from datamodules.storage import digest
from experiments.config.check import ConfigError
from experiments.config.compose import CONF
from experiments.direction import COST
from experiments.faults import told
from experiments.runs.lifeline import tie_to_parent
from experiments.runs.read import read_run
from experiments.tuning.outcome import Row, show
from experiments.tuning.own_files import replace_own, require_own
from experiments.tuning.possible import require_possible
from experiments.tuning.recipe import SEARCH_PATH, recipe, require_same
from experiments.tuning.search import search
from experiments.tuning.space import Space, space_of
from experiments.tuning.study import SAMPLERS, SPENT, Asked, Study, studying

OBJECTIVE = "valid/ndcg@10"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0; 1 with one line on standard error where nothing can be searched."""
    return told(partial(tune, _parser().parse_intermixed_args(arguments)), "tune")


def tune(options: argparse.Namespace) -> None:
    """Search each row, print what they spent and found, and write the best of each as an experiment. Raises
    `ConfigError` for rows of which no trial ended well, after all were searched."""
    _require_sense(options)
    rows = [tuple(words) for words in product(*map(_choices, options.rows))]
    place = f"runs_dir={options.runs_dir}"
    spaces = {words: space_of([*options.words, *words, place]) for words in rows}
    root, titles, made = Path(options.runs_dir) / "studies", _titles(options, rows), []
    for title in titles:
        require_own(root / title, Path(options.out), title)
    for space in spaces.values():
        require_possible(space, options.objective, options.prune)
    for title, (words, space) in zip(titles, spaces.items(), strict=True):
        with studying(root / title):
            study = _study(root / title, space, options)
            search(study, options.trials, options.workers)
            made.append(Row(words, study))
    show(made, Console(width=None if sys.stdout.isatty() else 200))
    print(*(path for row in made for path in write_best(row.study, Path(options.out))), sep="\n")
    failed = [row.study for row in made if not row.study.best()]
    if failed:
        raise ConfigError([f"{study.folder}: no trial ended well; {_where_to_look(study)}" for study in failed])


def write_best(study: Study, folder: Path) -> list[Path]:
    """A YAML for the best trial; with several objectives one for each trial that none beats in all of them. Those that
    the study wrote before are taken away."""
    best, by = study.best(), " and ".join(study.asked.objectives)
    spent, written = f"{len(study.spent())} trials ({study.asked.sampler})", {}
    for place, trial in enumerate(best):
        name = study.folder.name if len(best) == 1 else f"{study.folder.name}-{place + 1}"
        said = f"the best of {spent} by {by}" if len(best) == 1 else f"{by}: none of {spent} beats it in all of them"
        run = read_run(study.runs_dir / trial.user_attrs[SPENT])
        words = study.space.words(trial.params)
        text = recipe(name, said, (*words, *_beside(folder)), run)
        require_same(text, words, run)
        written[folder / f"{name}.yaml"] = text
    return replace_own(study.folder, written)


def _beside(folder: Path) -> list[str]:
    """What the command of a YAML in another folder than conf/experiment needs; Hydra looks in folders of that name."""
    if folder.absolute() == CONF / "experiment" or folder.name != "experiment":
        return []
    return [f"{SEARCH_PATH}=[file://{folder.absolute().parent}]"]


def _where_to_look(study: Study) -> str:
    if any(trial.user_attrs[SPENT] for trial in study.spent()):
        return "log.txt in the runs' folders says why"
    return "each setting was refused, for the reasons above"


def _titles(options: argparse.Namespace, rows: Sequence[Sequence[str]]) -> list[str]:
    """Names of the rows' studies, which are also those of their YAMLs."""
    name = options.name or f"study-{digest([sorted(options.words), options.objective, options.seed])[:8]}"
    values = [[re.sub(r"[^\w.-]+", "_", word.partition("=")[2]) for word in words] for words in rows]
    titles = ["-".join([name, *row]) for row in values]
    if len(set(titles)) < len(titles):
        raise ConfigError([f"--rows: two would have the name {max(titles, key=titles.count)}; give each a row once"])
    return titles


def _study(folder: Path, space: Space, options: argparse.Namespace) -> Study:
    words = tuple(word for word in space.fixed if not word.startswith("runs_dir="))  # a study may be moved
    asked = Asked(words, space.texts, tuple(options.objective), options.sampler, options.seed, options.prune)
    return Study(folder, space, asked)


def _choices(words: str) -> list[str]:
    key, sign, values = words.partition("=")
    if not sign or not values:
        raise ConfigError([f"--rows {words}: is not of the form key=value,value"])
    return [f"{key}={value}" for value in values.split(",")]


def _require_sense(options: argparse.Namespace) -> None:
    faults = [
        f"--objective {name}: settings are chosen by validation (valid/...) or cost (cost/...)"
        for name in options.objective
        if not name.startswith(("valid/", COST)) and "=" not in name
    ]
    if options.prune and (len(options.objective) > 1 or options.objective[0].startswith(COST)):
        faults.append("--prune: a run is judged by one metric of validation while it trains; give one objective")
    keys = [words.partition("=")[0] for words in options.rows]
    faults += [
        f"--rows {key}: stands twice; give it once, as {key}=VALUE,VALUE"
        for key in sorted({*keys})
        if keys.count(key) > 1
    ]
    faults += [
        f"{word}: the folder of a search is --runs-dir" for word in options.words if word.startswith("runs_dir=")
    ]
    for key in sorted({*keys}):
        faults += [
            f"--rows {key}: {word} says it as well; leave it out of one"
            for word in options.words
            if word.startswith(f"{key}=")
        ]
    taken = [word for word in options.rows if "(" in word] + [name for name in options.objective if "=" in name]
    faults += [f"{word}: stands behind --rows or --objective, which take it; words come first" for word in taken]
    if options.name and not re.fullmatch(r"[\w.-]+", options.name):
        faults.append(f"--name {options.name}: is the name of a file; letters, digits, '.', '-' and '_' are left")
    if options.trials < 1 or options.workers < 1:
        faults.append("--trials and --workers: are 1 at least")
    if faults:
        raise ConfigError(faults)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m experiments.tune", description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("words", nargs="+", metavar="WORD", help="as of experiments.train; a range is searched")
    add("--trials", type=int, default=20, metavar="N", help="of each row, in all (default: 20)")
    add("--workers", type=int, default=1, metavar="N", help="trials at a time (default: 1)")
    add("--rows", nargs="+", default=[], metavar="KEY=VALUE,...", help="a study of its own for each combination")
    add(
        "--objective",
        nargs="+",
        default=[OBJECTIVE],
        metavar="NAME",
        help=f"default: {OBJECTIVE}; several make a front",
    )
    add("--sampler", choices=SAMPLERS, default="tpe", help="how settings are drawn (default: tpe)")
    add("--seed", type=int, default=0, metavar="N", help="of the sampler")
    add("--prune", action="store_true", help="stop runs that are below the median of the others at the same epoch")
    add("--name", metavar="NAME", help="of the study and of the YAML; default: made from the words")
    add("--runs-dir", default="runs", metavar="FOLDER", help="where runs and studies lie (default: runs)")
    add(
        "--out",
        default=str(CONF / "experiment"),
        metavar="FOLDER",
        help="where the YAML goes (default: conf/experiment); Hydra reads only folders called experiment",
    )
    return parser


if __name__ == "__main__":
    tie_to_parent()  # where a program that makes more started this one; a caller of main() stays untied
    sys.exit(main())
