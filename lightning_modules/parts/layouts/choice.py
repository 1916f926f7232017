"""Which layout a model has."""

from collections.abc import Callable

from transformers import PreTrainedModel

from lightning_modules.parts.families import BERT_LIKE, LLAMA_LIKE, T5_LIKE
from lightning_modules.parts.layouts.bert import BertLayout
from lightning_modules.parts.layouts.distilbert import DistilBertLayout
from lightning_modules.parts.layouts.gpt2 import Gpt2Layout
from lightning_modules.parts.layouts.layout import Layout
from lightning_modules.parts.layouts.llama import LlamaLayout
from lightning_modules.parts.layouts.modernbert import ModernBertLayout
from lightning_modules.parts.layouts.t5 import T5Layout
from lightning_modules.parts.layouts.whole import WholeLayout

LAYOUTS: dict[str, Callable[[PreTrainedModel], Layout]] = (
    dict.fromkeys(BERT_LIKE, BertLayout)
    | dict.fromkeys(LLAMA_LIKE, LlamaLayout)
    | dict.fromkeys(T5_LIKE, T5Layout)
    | {"distilbert": DistilBertLayout, "modernbert": ModernBertLayout, "gpt2": Gpt2Layout}
)


def layout_of(model: PreTrainedModel) -> Layout:
    """The finest layout that is known to equal the model's own forward. A BERT made into a decoder sees less than its
    layers say, so it goes in one piece."""
    kind = model.config.model_type
    decoder = kind in BERT_LIKE and model.config.is_decoder
    return WholeLayout(model) if decoder else LAYOUTS.get(kind, WholeLayout)(model)
