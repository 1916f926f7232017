"""The bare language model: texts of one length, side by side, through the Hugging Face model, a loss and an optimiser.

    python -m benchmarks.loops.bare --texts 1200 --length 11

No mask, no padding, nothing to choose: what the machine makes of this model at best with plain PyTorch. `--tokens`
bounds what passes at once, as ours does.
"""

import argparse
from pathlib import Path

from benchmarks.loops.bare_model import loop
from benchmarks.loops.setting import COMPOSITION, Setting, quiet
from benchmarks.measuring.serving import Turn, serve
from experiments.config.compose import compose
from experiments.config.pretrained import model_folder, pretrained_names


def made(texts: int, length: int, tokens: int) -> Turn:
    """MiniLM, in float32."""
    quiet()
    config = compose(COMPOSITION)
    folder = model_folder(next(iter(pretrained_names(config).values())), Path(config["cache_dir"]))
    return loop(folder, texts, length, tokens, Setting("ml100k", "full", 1))


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Steps of the bare language model.")
    parser.add_argument("--texts", type=int, default=1200)
    parser.add_argument("--length", type=int, default=11, help="of each text, in tokens")
    parser.add_argument("--tokens", type=int, default=4096, help="at once")
    parser.add_argument("--serve", action="store_true", help="take turns as told on standard input")
    arguments = parser.parse_args()
    serve(lambda: made(arguments.texts, arguments.length, arguments.tokens), arguments.serve)


if __name__ == "__main__":
    main()
