"""Scorers that train nothing, against plain torch and transformers: vectors as they are, and odds of yes against no."""

import re
from itertools import pairwise

import numpy as np
import pytest
import torch
import transformers as hf
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from datamodules.types import Events, Items, Queries, QueryBlock, TrainingLog
from lightning_modules.backbones.language_model import LanguageModelBackbone
from lightning_modules.parts.encoder import Encoder
from lightning_modules.scorers.likelihood import LikelihoodScorer, Reader
from lightning_modules.scorers.untrained import UntrainedScorer
from lightning_modules.strategies.frozen import FrozenStrategy
from tests.lightning_modules.conftest import SPECIAL, TINY

LENGTHS = (4, 7, 2, 9, 5, 5, 3)
HISTORIES = ((2,), (0, 3, 1), (5, 5, 4, 6, 1, 0, 2, 3))


def block(histories, width=8, fill=0):
    """Histories of rows, oldest first, padded to `width`; then `fill` rows that only fill the block up."""
    rows = [*histories, *([histories[0]] * fill)]
    mask = torch.arange(width) < torch.tensor([len(row) for row in rows])[:, None]
    slot = torch.tensor([[*row, *([0] * (width - len(row)))] for row in rows])
    zeros = torch.zeros_like(slot)
    position = mask.sum(1, keepdim=True) - 1
    return QueryBlock(
        query=torch.tensor([*range(len(histories)), *([-1] * fill)]),
        events=Events(torch.arange(len(rows)), slot, mask, zeros, zeros.float()),
        queries=Queries(position, torch.ones_like(position, dtype=torch.bool)),
        positives=zeros[:, :1],
        seen=torch.zeros(2, 0, dtype=torch.long),
    )


# Vectors as they are


@pytest.fixture(scope="module")
def world(tiny_bert, token_items):
    """An encoder that nobody trained, its items, and their mean vectors by the model's own forward."""
    items = token_items(*LENGTHS)
    model = hf.AutoModel.from_pretrained(tiny_bert)
    texts = [items.tokens.take(torch.tensor([row])).values.long()[None] for row in range(len(LENGTHS))]
    with torch.no_grad():
        vectors = torch.cat([model(text).last_hidden_state.mean(1) for text in texts])
    return Encoder(LanguageModelBackbone(str(tiny_bert)), FrozenStrategy()), items, vectors


def untrained(world, n_items=5, **settings):
    """Rows from n_items on are texts of histories alone."""
    scorer = UntrainedScorer(world[0], n_items, **settings)
    scorer.fit(TrainingLog(torch.tensor([0]), torch.tensor([], dtype=torch.long), n_items), world[1])
    scorer.prepare(world[1])
    return scorer


def by_hand(vectors, history, n_items, half_life, tau):
    centred = vectors - vectors[:n_items].mean(0)
    cosine = [[float(a @ b / a.norm() / b.norm()) for b in centred[:n_items]] for a in centred[list(history)]]
    weight = np.array([2.0 ** (-(len(history) - 1 - i) / half_life) for i in range(len(history))])
    return (weight / weight.sum()) @ np.maximum(np.array(cosine) - tau, 0)


@pytest.mark.parametrize(("half_life", "tau"), [(1.0, 0.0), (2.5, 0.3), (float("inf"), -0.4), (40.0, -1)])
def test_scores_are_those_of_the_equation(half_life, tau, world):
    scores = untrained(world, half_life=half_life, tau=tau).scores(block(HISTORIES), 0, 5)
    expected = np.stack([by_hand(world[2], history, 5, half_life, tau) for history in HISTORIES])
    assert len(np.unique(expected.round(4))) > 5
    np.testing.assert_allclose(scores.numpy(), expected, atol=2e-6)


def test_a_quantile_cuts_the_catalogue_alone(world):
    scorer = untrained(world, tau="q0.5")
    unit = torch.nn.functional.normalize(world[2][:5] - world[2][:5].mean(0))
    cosines = sorted((unit @ unit.T)[~torch.eye(5, dtype=torch.bool)].tolist())
    assert float(scorer.cut.tau) == pytest.approx(cosines[10], abs=1e-6)
    expected = by_hand(world[2], HISTORIES[1], 5, 5.0, cosines[10])
    np.testing.assert_allclose(scorer.scores(block(HISTORIES), 0, 5)[1].numpy(), expected, atol=2e-6)


def test_users_padding_and_blocks_of_the_catalogue_do_not_mix(world):
    scorer = untrained(world)
    together = scorer.scores(block(HISTORIES, fill=2), 0, 5)
    for row, history in enumerate(HISTORIES):
        for width in (8, 16):
            torch.testing.assert_close(scorer.scores(block([history], width), 0, 5)[0], together[row])
    parts = [scorer.scores(block(HISTORIES, fill=2), *cut) for cut in pairwise((0, 2, 3, 5))]
    torch.testing.assert_close(torch.cat(parts, 1), together)


def test_what_awaits_training_or_is_out_of_range_is_refused(world, tiny_bert):
    for part in ({"dim": 8}, {"pooling": "attention"}):
        encoder = Encoder(LanguageModelBackbone(str(tiny_bert), **part), FrozenStrategy())
        with pytest.raises(ValueError, match=r"parameters of the backbone are random until they are trained, such as"):
            UntrainedScorer(encoder, 5)
    for half_life in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match=r"half_life is .*; it lies above 0, and .inf weighs all events alike"):
            UntrainedScorer(world[0], 5, half_life)
    with pytest.raises(RuntimeError, match="call prepare with the catalogue first"):
        UntrainedScorer(world[0], 5).scores(block(HISTORIES), 0, 5)


# Odds of yes against no

TEXTS = ("red shoes", "a blue hat", "green rain coat", "shoes", "red red red hat", "old blue rain hat of the rain")
TEMPLATE = "the user liked {history}. would the user like {candidate}? {answer}."
CORPUS = [TEMPLATE.format(history="; ".join(TEXTS), candidate=text, answer="yes no") for text in TEXTS] * 20
SIZES = {"bert": TINY, "roberta": TINY | {"pad_token_id": 1, "max_position_embeddings": 132}, "llama": TINY}
SIZES |= {"gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 130}}
SIZES |= {"t5": {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2} | SPECIAL}
SIZES |= {"modernbert": TINY | {"local_attention": 12, "global_attn_every_n_layers": 2} | SPECIAL}
LOADERS = dict.fromkeys(SIZES, hf.AutoModelForMaskedLM) | {"t5": hf.AutoModelForSeq2SeqLM}
LOADERS |= dict.fromkeys(("gpt2", "llama"), hf.AutoModelForCausalLM)


def word_pieces():
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    made.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=190, special_tokens=special))
    made.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    return made, {"pad_token": "[PAD]", "unk_token": "[UNK]", "mask_token": "[MASK]"}


def byte_pairs():
    made = Tokenizer(models.BPE())
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    special, alphabet = ["<s>", "<pad>", "</s>", "<mask>"], sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=350, special_tokens=special, initial_alphabet=alphabet)
    made.train_from_iterator(CORPUS, trainer)
    return made, {"mask_token": "<mask>"}


def unigrams():
    words = sorted({word.strip(";.?") for word in " ".join(CORPUS).split()})
    pieces = dict.fromkeys([*(f"▁{word}" for word in words), *"▁;.?abcdefghiklnorstuvwy"])
    scored = [(piece, -1.0 if len(piece) > 1 else -10.0) for piece in pieces]
    made = Tokenizer(models.Unigram([("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *scored], unk_id=2))
    made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    made.post_processor = processors.TemplateProcessing("$A </s>", None, [("</s>", 1)])
    return made, {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
    """A folder of each family: random weights with a language-modelling head, and a tokenizer that knows the texts."""
    root, made = tmp_path_factory.mktemp("heads"), {}
    builders = {word_pieces: ("bert", "modernbert"), byte_pairs: ("gpt2", "roberta", "llama"), unigrams: ("t5",)}
    for build, kinds in builders.items():
        tokenizer, special = build()
        for kind in kinds:
            torch.manual_seed(1)
            sizes = SIZES[kind] | {"vocab_size": tokenizer.get_vocab_size()}
            model = LOADERS[kind].from_config(hf.AutoConfig.for_model(kind, **sizes))
            for parameter in model.parameters():  # so random, it would say nearly the same of every prompt
                parameter.data *= 5 if parameter.dim() > 1 and kind != "t5" else 1
            model.save_pretrained(root / kind)
            hf.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(root / kind)
            made[kind] = Reader(root / kind, TEXTS)
    return made


def asked(kind, folder, history, candidate):
    """log P(yes) - log P(no), the long way."""
    tokenizer, model = hf.AutoTokenizer.from_pretrained(folder), LOADERS[kind].from_pretrained(folder).eval()
    told = "; ".join(history)
    text = f"the user liked {told}. would the user like {candidate}?"
    text += f" {tokenizer.mask_token}." if LOADERS[kind] is hf.AutoModelForMaskedLM else ""
    tokens = tokenizer(text, return_tensors="pt")["input_ids"]
    start = {"decoder_input_ids": torch.zeros(1, 1, dtype=torch.long)} if kind == "t5" else {}
    place = tokens[0].tolist().index(tokenizer.mask_token_id) if LOADERS[kind] is hf.AutoModelForMaskedLM else -1
    with torch.no_grad():
        logits = model(input_ids=tokens, **start).logits[0, place]
    mark = {"bert": "", "modernbert": "", "t5": "▁"}.get(kind, "Ġ")
    yes, no = tokenizer.convert_tokens_to_ids([f"{mark}yes", f"{mark}no"])
    assert not {None, tokenizer.unk_token_id} & {yes, no}
    return float(logits.log_softmax(-1)[yes] - logits.log_softmax(-1)[no])


@pytest.mark.parametrize("kind", sorted(SIZES))
def test_the_score_is_read_off_one_prompt(kind, readers):
    scorer = LikelihoodScorer(readers[kind], TEMPLATE)
    scorer.prepare(Items(torch.arange(len(TEXTS))))
    histories = [(5,), (0, 3, 1), (1, 4, 2, 2)]
    scores = scorer.scores(block(histories, fill=1), 0, 4)
    for row, history in enumerate(histories):
        expected = [asked(kind, readers[kind].folder, [TEXTS[i] for i in history], text) for text in TEXTS[:4]]
        np.testing.assert_allclose(scores[row].numpy(), expected, atol=2e-5)
        assert np.ptp(expected) > 1e-2
    assert scores[3].tolist() == [0] * 4  # it only fills the block up


@pytest.mark.parametrize("kind", ["bert", "gpt2", "t5"])
def test_batches_equal_one_by_one(kind, readers):
    histories = [(5,), (0, 3, 1), (1, 4, 2, 2)]
    whole = LikelihoodScorer(readers[kind], TEMPLATE).scores(block(histories), 0, 6)
    few = LikelihoodScorer(readers[kind], TEMPLATE, tokens_per_chunk=1)
    sizes, logits = [], few.way.logits
    object.__setattr__(few.way, "logits", lambda *given: sizes.append(len(given[1])) or logits(*given))
    alone = [few.scores(block([history]), item, item + 1) for history in histories for item in range(6)]
    assert sizes == [1] * 18
    torch.testing.assert_close(torch.cat(alone).reshape(3, 6), whole, atol=2e-5, rtol=0)


def test_no_more_tokens_pass_at_once_than_allowed(readers):
    scorer = LikelihoodScorer(readers["gpt2"], TEMPLATE, tokens_per_chunk=64)
    shapes, logits = [], scorer.way.logits
    object.__setattr__(scorer.way, "logits", lambda *given: shapes.append(given[1].shape) or logits(*given))
    scorer.odds([list(range(length)) for length in [20] * 7 + [33] * 3 + [100]])
    assert sorted(map(tuple, shapes)) == [(1, 20), (1, 33), (1, 33), (1, 33), (1, 100), (3, 20), (3, 20)]


@pytest.mark.parametrize("kind", ["bert", "gpt2", "t5"])
def test_the_oldest_events_are_dropped_and_never_the_candidate(kind, readers):
    """Against a search for the longest end of the history that fits."""
    scorer = LikelihoodScorer(readers[kind], TEMPLATE)
    tokenizer, filled = scorer.tokenizer, scorer.template.format
    history, lengths, kept = [TEXTS[i] for i in (5, 0, 4, 1, 2)], set(), set()
    told = ["; ".join(history[first:]) for first in range(6)]
    least = max(len(tokenizer(filled(history="", candidate=text))["input_ids"]) for text in TEXTS)
    for limit in range(least, least + 40, 3):
        scorer.limit = limit
        for candidate, prompt in zip(TEXTS, scorer.prompts(history, TEXTS), strict=True):
            ends = [tokenizer(filled(history=end, candidate=candidate))["input_ids"] for end in told]
            fitting = [i for i, end in enumerate(ends) if len(end) <= limit]
            assert prompt == ends[fitting[0]]
            lengths.add(len(prompt))
            kept.add(fitting[0])
    assert kept == set(range(6))
    assert max(lengths) <= limit
    scorer.limit = least - 1
    with pytest.raises(ValueError, match=rf"still has {least} tokens, and {least - 1} fit: .* 'old blue rain h"):
        scorer.prompts(history, TEXTS)


def test_limits_are_the_models_or_ones_own(readers):
    scorer = LikelihoodScorer(readers["bert"], TEMPLATE, events=2, max_tokens=40)
    assert scorer.limit == 40
    torch.testing.assert_close(scorer.scores(block([(5, 0, 3, 1)]), 0, 4), scorer.scores(block([(3, 1)]), 0, 4))
    limits = {kind: LikelihoodScorer(readers[kind], TEMPLATE).limit for kind in ("bert", "gpt2", "roberta", "t5")}
    assert limits == {"bert": 130, "gpt2": 130, "roberta": 130, "t5": 512}


def test_an_answer_that_has_no_place_stands_at_the_end(readers):
    bare = "the user liked {history}. would the user like {candidate}?"
    for kind in ("bert", "gpt2"):
        scorers = [LikelihoodScorer(readers[kind], bare + end) for end in ("", " {answer}")]
        scores = [scorer.scores(block([(0, 1)]), 0, 4) for scorer in scorers]
        assert torch.equal(*scores)


# Refused

NOT_ONE = "the verbaliser's word '{}' has to be one token, and the tokenizer makes {} of it"
REFUSED = [
    ("bert", {"positive": "yesno"}, NOT_ONE.format("yesno", "'yes', '##n', '##o'")),
    ("bert", {"negative": "§"}, NOT_ONE.format("§", "'[UNK]'")),
    ("gpt2", {"positive": "yesno"}, NOT_ONE.format("yesno", "'Ġyes', 'no'")),
    ("t5", {"positive": "yesno"}, NOT_ONE.format("yesno", "'▁yes', 'n', 'o'")),
    ("bert", {"positive": "no"}, "scorer.positive 'no' and scorer.negative 'no' are the same token"),
    ("bert", {"template": "like {candidate}"}, "has candidate; it needs {history} and {candidate}, may place {answer}"),
    ("bert", {"template": "nothing"}, "has no field"),
    ("bert", {"template": "{history} {candidate} {user}"}, "has history, candidate, user; it needs"),
    ("gpt2", {"template": "{history}: {answer}, {candidate}"}, "reads up to {answer}; name the others before it"),
    *(("bert", {name: 0}, f"scorer.{name} is 0") for name in ("events", "max_tokens", "tokens_per_chunk")),
]


@pytest.mark.parametrize(("kind", "settings", "says"), REFUSED)
def test_settings_that_do_not_fit(kind, settings, says, readers):
    with pytest.raises(ValueError, match=re.escape(says)):
        LikelihoodScorer(readers[kind], **({"template": TEMPLATE} | settings))


def test_braces_in_a_text_are_words_and_a_mask_is_refused(readers):
    scorer = LikelihoodScorer(Reader(readers["bert"].folder, ("red [MASK]", "hat")), TEMPLATE)
    with pytest.raises(ValueError, match="a prompt holds the mask token more than once"):
        scorer.scores(block([(1,)]), 0, 2)
    texts = ("red {candidate} shoes", "a {0} hat")
    scorer = LikelihoodScorer(Reader(readers["gpt2"].folder, texts), TEMPLATE)
    expected = asked("gpt2", readers["gpt2"].folder, texts[1:], texts[0])
    assert float(scorer.scores(block([(1,)]), 0, 1)) == pytest.approx(expected, abs=2e-5)


def test_a_model_without_its_head_is_refused(tmp_path, tiny_models, tiny_bert, minilm_path):
    """Its weights would be random. Tied to the embeddings, GPT-2's head is never missing."""
    hf.T5EncoderModel.from_pretrained(tiny_models["t5"]).save_pretrained(tmp_path)
    folders = {tiny_bert: "BertForMaskedLM", minilm_path: "BertForMaskedLM", tiny_models["llama"]: "LlamaForCausalLM"}
    for folder, name in (folders | {tmp_path: "T5ForConditionalGeneration, such as decoder"}).items():
        with pytest.raises(ValueError, match=rf"needs a language-modelling head, and .* lacks \d+ weights of {name}"):
            LikelihoodScorer(Reader(folder, TEXTS))
    for kind in ("bart", "clip_text_model"):
        (tmp_path / "config.json").write_text(f'{{"model_type": "{kind}"}}')
        with pytest.raises(ValueError, match=f"no language-modelling head of {kind}: give a model that fills gaps"):
            LikelihoodScorer(Reader(tmp_path, TEXTS))
