"""The bare language model: texts of one length, side by side, through the Hugging Face model, a loss and an optimiser.

    python -m benchmarks.loops.bare --texts 1200 --length 11

No mask, no padding, nothing to choose: what the machine makes of this model at best with plain PyTorch. `--tokens`
bounds what passes at once, as ours does.
"""

import argparse
from pathlib import Path

import torch
from torch.nn.utils import clip_grad_norm_

from benchmarks.loops.plain_model import PlainEncoder
from benchmarks.loops.setting import CLIP, COMPOSITION, quiet
from benchmarks.measuring.serving import Counts, Turn, serve
from experiments.config.compose import compose
from experiments.config.pretrained import model_folder, pretrained_names


def loop(texts: int, length: int, tokens: int) -> Turn:
    """A turn is one step of full fine-tuning on random tokens."""
    quiet()
    config = compose(COMPOSITION)
    folder = model_folder(next(iter(pretrained_names(config).values())), Path(config["cache_dir"]))
    model = PlainEncoder(folder, "full").model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    ids = torch.randint(1000, 20_000, (texts, length))
    direction = torch.randn(model.config.hidden_size)

    def turn(number: int) -> Counts:
        for part in ids.split(max(tokens // length, 1)):
            pooled = model(input_ids=part).last_hidden_state.mean(1)
            (pooled @ direction).sum().backward()
        clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad()
        return {"texts": texts, "tokens": texts * length, "squares": texts * length**2, "steps": 1}

    return turn


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Steps of the bare language model.")
    parser.add_argument("--texts", type=int, default=1200)
    parser.add_argument("--length", type=int, default=11, help="of each text, in tokens")
    parser.add_argument("--tokens", type=int, default=4096, help="at once")
    parser.add_argument("--serve", action="store_true", help="take turns as told on standard input")
    arguments = parser.parse_args()
    serve(lambda: loop(arguments.texts, arguments.length, arguments.tokens), arguments.serve)


if __name__ == "__main__":
    main()
