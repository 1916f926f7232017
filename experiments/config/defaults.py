"""The defaults of every class and function that a YAML names, as text: `python -m experiments.config.defaults FILE`.

A default written out and one left out give the same run id, so a changed default would silently give old numbers a
new meaning. A test compares today's defaults with the frozen FILE; this program writes it anew, with `RESULTS_EPOCH`.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from datamodules.storage import atomic_write
from experiments.config.compose import CONF
from experiments.config.identity import RESULTS_EPOCH
from experiments.config.signature import Computed, signature

TARGET = re.compile(r"_target_: ([\w.]+)")


def defaults() -> dict[str, dict[str, str]]:
    """Target -> argument -> default, of every `_target_` under conf/ that can move a result: of no program, and of no
    launcher."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(CONF.rglob("*.yaml"))]
    targets = sorted({target for text in texts for target in TARGET.findall(text)})
    without = ("experiments.", "hydra_plugins.")
    return {target: _defaults_of(target) for target in targets if not target.startswith(without)}


def frozen() -> dict[str, Any]:
    """What the file holds."""
    return {"results_epoch": RESULTS_EPOCH, "defaults": defaults()}


def _defaults_of(target: str) -> dict[str, str]:
    parameters = signature(target).parameters.values()
    return {one.name: _text(one.default) for one in parameters if not one.required}


def _text(default: object) -> str:
    return default.text if isinstance(default, Computed) else repr(default)


if __name__ == "__main__":
    atomic_write(Path(sys.argv[1]), json.dumps(frozen(), indent=1, sort_keys=True) + "\n")
    print(sys.argv[1])
