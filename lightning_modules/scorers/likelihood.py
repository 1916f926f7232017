"""Ask a language model in words whether the user would like an item, and take its odds of yes against no.

    score(c|u) = log P(yes | prompt(u, c)) - log P(no | prompt(u, c))

A cloze asks a language model what it knows without labels (Petroni et al. 2019, "Language models as knowledge bases?"),
and a verbaliser, the words that stand for the classes, makes it a classifier (Schick & Schuetze 2021, "Exploiting cloze
questions for few-shot text classification and natural language inference"). Zhang et al. 2021, "Language models as
recommender systems: evaluations and limitations", put histories into prompts; there the model says the item's title,
here yes or no, so that long titles and short ones compare. The score is the difference of two logits of one softmax.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Any

import torch
import transformers
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from datamodules.types import Items, QueryBlock, TrainingLog
from lightning_modules.parts.families import T5_LIKE
from lightning_modules.parts.full_precision import full_precision
from lightning_modules.parts.loading import load_config, load_model, load_tokenizer

TEMPLATE = "A person liked {history}. Would this person like {candidate}? {answer}."
SEPARATOR = "; "  # between the items of a history, oldest first


@dataclass(frozen=True)
class Reader:
    """A language model's folder, and the texts that slots of events point to; the first are the catalogue's."""

    folder: Path
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Way:
    """How a family answers. logits: model, prompts of one length, the mask's token -> logits where the answer is."""

    loader: Any
    cloze: bool
    logits: Callable[[PreTrainedModel, Int[Tensor, "b S"], int | None], Float[Tensor, "b W"]]


class LikelihoodScorer:
    """Code supplies the model: one that fills gaps (BERT and its kin), one that writes on (GPT-2, Llama), or T5.

    template: {history} and {candidate} are filled in; the answer stands where {answer} stands, at the end if it does
    not occur. A cloze has the mask there. Other families read the prompt up to there and answer by the next token, T5
    by its decoder's first. positive, negative: the verbaliser, words that are one token each as they stand behind
    another word. events: the latest so many of the history are told. max_tokens: of a prompt; a model may have fewer
    positions. A prompt that is too long loses its oldest events until it fits, and never its candidate.
    tokens_per_chunk: tokens that pass through the model at once, prompts of one length together, without padding.

    A whole catalogue costs users * items * tokens. Raises `ValueError` for a model without a language-modelling head or
    one that only code of its own can read, a template or words that do not fit, and, in `scores`, a candidate that fits
    into no prompt.
    """

    def __init__(
        self,
        model: Reader,
        template: str = TEMPLATE,
        positive: str = "yes",
        negative: str = "no",
        events: int = 10,
        max_tokens: int = 512,
        tokens_per_chunk: int = 2048,
    ) -> None:
        for name, value in (("events", events), ("max_tokens", max_tokens), ("tokens_per_chunk", tokens_per_chunk)):
            if value < 1:
                raise ValueError(f"scorer.{name} is {value}; it counts from 1")
        self.texts, self.events, self.tokens_per_chunk = model.texts, events, tokens_per_chunk
        self.way, self.network = load_with_head(model.folder)
        self.tokenizer = load_tokenizer(model.folder)
        self.limit = min(max_tokens, _positions(self.network))
        self.template = _prompt(template, self.way, self.tokenizer, model.folder)
        self.words = [one_piece(self.tokenizer, word) for word in (positive, negative)]
        if self.words[0] == self.words[1]:
            raise ValueError(f"scorer.positive {positive!r} and scorer.negative {negative!r} are the same token")

    def fit(self, train: TrainingLog, items: Items) -> None:
        """Nothing is learned."""

    def prepare(self, items: Items) -> None:
        """Items carry their texts as tokens; within a prompt they are read as strings."""

    @torch.no_grad()
    def scores(self, block: QueryBlock, start: int, stop: int) -> Float[Tensor, "B C"]:
        """Scores of catalogue ids start .. stop; rows that only fill the block up get 0."""
        scores = torch.zeros(len(block.query), stop - start, device=block.query.device)
        self.network.to(block.query.device)
        for row in (block.query >= 0).nonzero()[:, 0].tolist():
            slots = block.events.slot[row][block.events.mask[row]][-self.events :]
            prompts = self.prompts([self.texts[slot] for slot in slots.tolist()], self.texts[start:stop])
            scores[row] = self.odds(prompts)
        return scores

    def prompts(self, history: Sequence[str], candidates: Sequence[str]) -> list[list[int]]:
        """Tokens of a prompt for each candidate, with the longest end of the history that leaves room for it."""
        made = self._filled(history, candidates)
        for first in range(1, len(history) + 1):
            long = [place for place, prompt in enumerate(made) if len(prompt) > self.limit]
            for place, prompt in zip(long, self._filled(history[first:], [candidates[i] for i in long]), strict=True):
                made[place] = prompt
        for candidate, prompt in zip(candidates, made, strict=True):
            if len(prompt) > self.limit:
                raise ValueError(
                    f"without any history a prompt still has {len(prompt)} tokens, and {self.limit} fit: shorten the "
                    f"template, raise scorer.max_tokens, or shorten the text of candidate {candidate!r}"
                )
        return made

    def odds(self, prompts: Sequence[Sequence[int]]) -> Float[Tensor, " P"]:
        """log P(yes) - log P(no) of each prompt."""
        device = self.network.device
        lengths, odds = torch.tensor([len(prompt) for prompt in prompts]), torch.empty(len(prompts), device=device)
        for length in lengths.unique().tolist():
            alike = (lengths == length).nonzero()[:, 0]
            for rows in alike.split(max(1, self.tokens_per_chunk // length)):
                tokens = torch.tensor([prompts[row] for row in rows.tolist()], device=device)
                with full_precision(device):
                    logits = self.way.logits(self.network, tokens, self.tokenizer.mask_token_id)
                odds[rows.to(device)] = logits[:, self.words[0]] - logits[:, self.words[1]]
        return odds

    def _filled(self, history: Sequence[str], candidates: Sequence[str]) -> list[list[int]]:
        told = SEPARATOR.join(history)
        texts = [self.template.format(history=told, candidate=candidate) for candidate in candidates]
        return self.tokenizer(texts, verbose=False)["input_ids"] if texts else []


def load_with_head(folder: Path) -> tuple[Way, PreTrainedModel]:
    """The model with its head, as float32 and in eval mode, and how it answers. Raises ValueError where its family has
    no such head here, or where the folder lacks weights."""
    way = _way_of(load_config(folder))
    network, report = load_model(way.loader, folder)
    if report["missing_keys"]:
        missing = ", ".join(sorted(report["missing_keys"])[:3])
        raise ValueError(
            f"scorer=likelihood needs a language-modelling head, and {folder} lacks {len(report['missing_keys'])} "
            f"weights of {type(network).__name__}, such as {missing}: they would be random. Give a model that has one, "
            "as bert-base-uncased or gpt2; scorer=untrained needs none"
        )
    return way, network.eval()


def _way_of(config: Any) -> Way:
    if config.model_type in T5_LIKE:
        return Way(transformers.AutoModelForSeq2SeqLM, False, _of_decoder)
    alone, kind = not config.is_encoder_decoder, type(config)
    if alone and kind in transformers.MODEL_FOR_MASKED_LM_MAPPING:
        return Way(transformers.AutoModelForMaskedLM, True, _of_mask)
    if alone and kind in transformers.MODEL_FOR_CAUSAL_LM_MAPPING:
        return Way(transformers.AutoModelForCausalLM, False, _of_end)
    raise ValueError(
        f"scorer=likelihood knows no language-modelling head of {config.model_type}: give a model that fills gaps "
        f"(bert, roberta, modernbert, ...), one that writes on (gpt2, llama, qwen3, ...) or one of {', '.join(T5_LIKE)}"
    )


def _of_mask(network: PreTrainedModel, tokens: Int[Tensor, "b S"], mask: int | None) -> Float[Tensor, "b W"]:
    assert mask is not None  # see _prompt
    gaps = tokens == mask
    if not bool((gaps.sum(1) == 1).all()):
        raise ValueError("a prompt holds the mask token more than once: an item's text has it too; take it out there")
    return network(tokens, attention_mask=torch.ones_like(tokens)).logits[gaps]


def _of_end(network: PreTrainedModel, tokens: Int[Tensor, "b S"], mask: int | None) -> Float[Tensor, "b W"]:
    ones = torch.ones_like(tokens)
    return network(tokens, attention_mask=ones, logits_to_keep=1, use_cache=False).logits[:, -1]


def _of_decoder(network: PreTrainedModel, tokens: Int[Tensor, "b S"], mask: int | None) -> Float[Tensor, "b W"]:
    start = tokens.new_full((len(tokens), 1), network.config.decoder_start_token_id)
    ones = torch.ones_like(tokens)
    return network(tokens, attention_mask=ones, decoder_input_ids=start, use_cache=False).logits[:, 0]


def _prompt(template: str, way: Way, tokenizer: Any, folder: Path) -> str:
    """The template with the mask in the place of {answer}, or cut there."""
    fields = [field for _, field, _, _ in Formatter().parse(template) if field is not None]
    if {"history", "candidate"} - set(fields) or set(fields) - {"history", "candidate", "answer"}:
        raise ValueError(
            f"scorer.template {template!r} has {', '.join(fields) or 'no field'}; it needs {{history}} and "
            "{candidate}, may place {answer}, and has no other field"
        )
    before, _, behind = template.partition("{answer}")
    if way.cloze:
        if tokenizer.mask_token is None:
            raise ValueError(f"scorer=likelihood asks {folder} by a cloze, and its tokenizer has no mask token")
        return f"{before}{tokenizer.mask_token}{behind}" if "answer" in fields else f"{before} {tokenizer.mask_token}"
    if "{history}" not in before or "{candidate}" not in before:
        raise ValueError(f"scorer.template {template!r}: this model reads up to {{answer}}; name the others before it")
    return before.rstrip()


def _positions(network: PreTrainedModel) -> int:
    """Tokens of the longest text; RoBERTa's positions begin behind its padding's. T5 counts distances, without end."""
    padding = getattr(getattr(network.base_model, "embeddings", None), "padding_idx", None)
    most = getattr(network.config, "max_position_embeddings", None)
    return 10**9 if most is None else most - (0 if padding is None else padding + 1)


def one_piece(tokenizer: Any, word: str) -> int:
    """The token of a word as it stands behind another one. Raises ValueError, with the pieces, unless it is one."""
    before = tokenizer("a", add_special_tokens=False)["input_ids"]
    pieces = tokenizer(f"a {word}", add_special_tokens=False)["input_ids"][len(before) :]
    if len(pieces) != 1 or pieces[0] == tokenizer.unk_token_id:
        named = ", ".join(map(repr, tokenizer.convert_ids_to_tokens(pieces))) or "nothing"
        raise ValueError(f"the verbaliser's word {word!r} has to be one token, and the tokenizer makes {named} of it")
    return pieces[0]
