"""A complete language model folder made on the spot: random weights, a small vocabulary, no download, no torch.

Everything downstream sees an ordinary Hugging Face folder, so tests and dry runs take the way that real models take.
"""

import json
import string
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LAYERS, WIDE, INNER, HEADS, POSITIONS = 2, 32, 64, 2, 128


def write_tiny_bert(folder: Path, seed: int = 0) -> None:
    """Write a BERT of 2 layers, 32 wide, with its WordPiece tokenizer into `folder`.

    The same seed gives the same bytes (numpy's PCG64). The weights carry no language; still, texts that share words
    come out alike, because they share token vectors. A word of ASCII letters and digits is spelt in pairs; other
    scripts become [UNK].
    """
    vocabulary = _vocabulary()
    config = {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "vocab_size": len(vocabulary),
        "hidden_size": WIDE,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": INNER,
        "max_position_embeddings": POSITIONS,
        "dtype": "float32",
    }
    tokenizer = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": POSITIONS}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer, indent=1), encoding="utf-8")
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in vocabulary), encoding="utf-8")
    weights = _weights(len(vocabulary), np.random.default_rng(seed))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _vocabulary() -> list[str]:
    """Special tokens, punctuation, then letters and digits alone and in pairs, and each as the continuation of a
    word."""
    letters = string.ascii_lowercase + string.digits
    pieces = [*letters, *(first + second for first in letters for second in letters)]
    return [*SPECIAL, *string.punctuation, *pieces, *(f"##{piece}" for piece in pieces)]


def _weights(n_pieces: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """BERT's own start: normal of deviation 0.02, biases 0, norms the identity (Devlin et al. 2019, released code)."""
    tables = {"word": n_pieces, "position": POSITIONS, "token_type": 2}
    shapes = {f"embeddings.{name}_embeddings.weight": (rows, WIDE) for name, rows in tables.items()}
    norms = ["embeddings.LayerNorm"]
    for layer in (f"encoder.layer.{index}" for index in range(LAYERS)):
        square = ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"]
        shapes |= {f"{layer}.{name}.weight": (WIDE, WIDE) for name in square}
        shapes |= {f"{layer}.intermediate.dense.weight": (INNER, WIDE), f"{layer}.output.dense.weight": (WIDE, INNER)}
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
    weights = {name: generator.normal(0.0, 0.02, shape).astype(np.float32) for name, shape in shapes.items()}
    linear = [name for name in weights if name.startswith("encoder.")]
    weights |= {name.replace(".weight", ".bias"): np.zeros(shapes[name][0], np.float32) for name in linear}
    weights |= {f"{name}.weight": np.ones(WIDE, np.float32) for name in norms}
    return weights | {f"{name}.bias": np.zeros(WIDE, np.float32) for name in norms}
