"""Which arguments code supplies, by the place in the configuration. A YAML that sets one is refused.

The longest key that begins a node's path decides; a name that no key lists is a person's choice.
"""

CATALOGUE = frozenset({"n_items", "n_behaviours", "history_length", "item_counts", "has_times"})

RUNTIME: dict[str, frozenset[str]] = {
    "datamodule": frozenset({"split", "objective", "candidates", "root", "text", "tokenizer", "seed"}),
    "datamodule.source": frozenset(),
    "datamodule.filters": frozenset(),
    "backbone": CATALOGUE,
    "interest": CATALOGUE | {"dim"},
    "head": CATALOGUE | {"dim"},
    "loss": CATALOGUE,
    "candidates": CATALOGUE,
    "scorer": CATALOGUE | {"dim", "topics", "model"},
    "optimizer": frozenset({"params"}),
    "scheduler": frozenset({"optimizer", "total_steps"}),
    "trainer": frozenset({"callbacks", "logger", "default_root_dir", "plugins"}),
    "logger": frozenset({"save_dir"}),
    "logger.wandb": frozenset({"save_dir", "offline"}),
}


def runtime_names(path: str) -> frozenset[str]:
    """The arguments that code supplies to a target at `path`, such as backbone.text."""
    parts = path.split(".")
    for stop in range(len(parts), 0, -1):
        found = RUNTIME.get(".".join(parts[:stop]))
        if found is not None:
            return found
    return frozenset()
