"""What the parts of a transformer are called in each family of models: query, value, feed-forward block, norms.

Papers say "query and value"; BERT says `attention.self.query`, Llama `self_attn.q_proj`, and GPT-2 keeps query, key and
value in one matrix. A strategy names roles, so that one YAML fits every family. Patterns are regular expressions for
the last parts of a module's name.
"""

import re

from torch import nn
from transformers import PretrainedConfig

BERT_LIKE = ("bert", "roberta", "xlm-roberta", "camembert", "electra")
LLAMA_LIKE = ("llama", "mistral", "qwen2", "qwen3")
T5_LIKE = ("t5", "mt5")

FEED_FORWARD = "feed_forward"
"""The module that turns a block's input into its change, and takes that input as the last of its arguments."""

NORM = "norm"

BERT = {
    "query": r"attention\.self\.query",
    "key": r"attention\.self\.key",
    "value": r"attention\.self\.value",
    "attention_output": r"attention\.output\.dense",
    "feed_forward_input": r"intermediate\.dense",
    "feed_forward_output": r"layer\.\d+\.output\.dense",
    FEED_FORWARD: r"layer\.\d+\.output",
    NORM: "LayerNorm",
}
DISTILBERT = {
    "query": r"attention\.q_lin",
    "key": r"attention\.k_lin",
    "value": r"attention\.v_lin",
    "attention_output": r"attention\.out_lin",
    "feed_forward_input": r"ffn\.lin1",
    "feed_forward_output": r"ffn\.lin2",
    FEED_FORWARD: "ffn",
    NORM: "LayerNorm|sa_layer_norm|output_layer_norm",
}
MODERNBERT = {
    "query": r"attn\.Wqkv",
    "key": r"attn\.Wqkv",
    "value": r"attn\.Wqkv",
    "attention_output": r"attn\.Wo",
    "feed_forward_input": r"mlp\.Wi",
    "feed_forward_output": r"mlp\.Wo",
    FEED_FORWARD: "mlp",
    NORM: r"embeddings\.norm|layers\.[1-9]\d*\.attn_norm|mlp_norm|final_norm",
}
GPT2 = {
    "query": r"attn\.c_attn",
    "key": r"attn\.c_attn",
    "value": r"attn\.c_attn",
    "attention_output": r"attn\.c_proj",
    "feed_forward_input": r"mlp\.c_fc",
    "feed_forward_output": r"mlp\.c_proj",
    FEED_FORWARD: "mlp",
    NORM: "ln_1|ln_2|ln_f",
}
LLAMA = {
    "query": r"self_attn\.q_proj",
    "key": r"self_attn\.k_proj",
    "value": r"self_attn\.v_proj",
    "attention_output": r"self_attn\.o_proj",
    "feed_forward_input": r"mlp\.(?:gate_proj|up_proj)",
    "feed_forward_output": r"mlp\.down_proj",
    FEED_FORWARD: "mlp",
    NORM: "input_layernorm|post_attention_layernorm|norm|q_norm|k_norm",
}
T5 = {
    "query": r"encoder\.block\.\d+\.layer\.0\.SelfAttention\.q|EncDecAttention\.q",
    "key": r"encoder\.block\.\d+\.layer\.0\.SelfAttention\.k|EncDecAttention\.k",
    "value": r"(?:Self|EncDec)Attention\.v",
    "attention_output": r"(?:Self|EncDec)Attention\.o",
    "feed_forward_input": r"DenseReluDense\.wi(?:_0|_1)?",
    "feed_forward_output": r"DenseReluDense\.wo",
    FEED_FORWARD: "DenseReluDense",
    NORM: "layer_norm|final_layer_norm",
}
T5_IDLE = r"decoder\.block\.\d+\.layer\.0\.SelfAttention\.(?:q|k|relative_attention_bias)\..*"
"""A decoder is read by its first token alone (see `parts.pooling`), which attends to itself and nothing else: whatever
the score, its softmax is one."""

FAMILIES = (
    dict.fromkeys(BERT_LIKE, BERT)
    | dict.fromkeys(LLAMA_LIKE, LLAMA)
    | dict.fromkeys(T5_LIKE, T5)
    | {"distilbert": DISTILBERT, "modernbert": MODERNBERT, "gpt2": GPT2}
)


def roles_of(model: nn.Module) -> dict[str, str]:
    """Role -> pattern, for a model of a family that is known; else nothing."""
    config = getattr(model, "config", None)
    return FAMILIES.get(config.model_type, {}) if isinstance(config, PretrainedConfig) else {}


def idle_names(model: nn.Module) -> frozenset[str]:
    """The parameters that no output of the model depends on, the way it is read here."""
    config = getattr(model, "config", None)
    if not isinstance(config, PretrainedConfig) or config.model_type not in T5_LIKE:
        return frozenset()
    return frozenset(name for name, _ in model.named_parameters() if re.fullmatch(T5_IDLE, name))


def pattern_of(role: str, method: str, model: nn.Module) -> str:
    """The pattern of a role that a method cannot do without. Raises ValueError where the family is not known."""
    roles = roles_of(model)
    if role not in roles:
        kind = getattr(getattr(model, "config", None), "model_type", type(model).__name__)
        raise ValueError(
            f"{method} has to know where a model keeps its {role.replace('_', ' ')}, and of {kind!r} it does not; "
            f"known are: {', '.join(sorted(FAMILIES))}"
        )
    return roles[role]
