"""The language model as people use it: Hugging Face's own forward on padded texts, plain peft."""

from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from transformers import AutoModel


class PlainEncoder(nn.Module):
    """Padded tokens and mask -> the mean of the real tokens' last states, where asked mapped to `dim` numbers."""

    def __init__(self, folder: Path, strategy: str, dim: int | None = None) -> None:
        super().__init__()
        model = AutoModel.from_pretrained(folder, dtype=torch.float32, add_pooling_layer=False, trust_remote_code=False)
        width = model.config.hidden_size
        self.dim = dim or width
        self.projection = nn.Identity() if dim is None else nn.Linear(width, dim)
        if strategy == "lora":
            model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=["query", "value"]))
        if strategy in ("top_k", "frozen"):
            model.requires_grad_(False)
        if strategy == "top_k":
            model.encoder.layer[-1].requires_grad_(True)
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask[..., None]
        return self.projection((hidden * mask).sum(1) / mask.sum(1))

    def state(self) -> dict[str, nn.Parameter]:
        """Parameters by the names they have in the model without peft around it."""
        return {name.removeprefix("base_model.model."): p for name, p in self.model.named_parameters()}
