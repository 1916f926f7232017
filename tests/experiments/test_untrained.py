"""Compositions of a backbone and a scorer that trains nothing, through the code that makes every run."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from experiments.config.compose import compose
from experiments.config.identity import Circumstances, run_digest
from experiments.config.idle import require_one_ranker
from experiments.config.ranker import trains
from experiments.loading import load
from experiments.runs.folder import RunFolder
from experiments.runs.result import done
from experiments.training import train
from experiments.wiring import build_data, build_module, build_scorer, frozen_encoder
from lightning_modules.scorers.likelihood import LikelihoodScorer
from lightning_modules.scorers.untrained import UntrainedScorer

WORLD = (
    "datamodule.source.users=30",
    "datamodule.source.items=40",
    "datamodule.source.events=10",
    "datamodule.users_per_step=16",
    "trainer.accelerator=cpu",
    "trainer.precision=32-true",
    "logger=none",
)
UNTRAINED = ("experiment=untrained", "backbone=bert_tiny", *WORLD)
FEW = "+datamodule.few_shot={_target_: datamodules.few_shot.FewUsers, users: 3}"


def made(root, *words):
    config = compose([*UNTRAINED, *words, f"runs_dir={root}"])
    return config, build_data(config)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a finished run, and what train() said."""
    root = tmp_path_factory.mktemp("untrained")
    folder, config = RunFolder(root / "run"), compose([*UNTRAINED, f"runs_dir={root}"])
    folder.path.mkdir()
    folder.write("config.json", config)
    folder.write("overrides.json", list(UNTRAINED))
    outcome = train(config, folder.path)
    done(folder, outcome)
    return folder.path, outcome


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["experiment=sasrec"], True),
        (["backbone=bert_tiny", "strategy=frozen"], True),
        (["backbone=bert_tiny", "strategy=frozen", "scorer=untrained"], False),
        (["experiment=untrained"], False),
        (["experiment=untrained", "scorer=likelihood"], False),
        (["experiment=popularity"], False),
        (["experiment=oracle"], False),
    ],
)
def test_what_trains(words, expected):
    config = compose(words)
    require_one_ranker(config)
    assert trains(config) is expected


def test_a_run_without_training_ranks_both_splits(run):
    folder, outcome = run
    assert outcome["cost"]["trainable_parameters"] == 0
    assert 0 < outcome["metrics"]["test/hr@10"] <= 1
    assert 0 < outcome["metrics"]["valid/ndcg@10"] <= 1
    assert not list(folder.glob("*.ckpt"))
    assert pq.read_table(folder / "queries-test.parquet").num_rows == 30


def test_a_finished_run_is_opened_and_recommends_the_same(run):
    loaded = load(run[0])
    assert isinstance(loaded.fitted, UntrainedScorer)
    assert loaded.module is None
    ids = [one.item for one in loaded.recommend(user=loaded.data.prepared.users[0], k=5)]
    assert len(set(ids)) == 5
    scores = loaded.scorer.scores(loaded.data.blocks("test")[0], 0, 40)
    config, data = loaded.config, build_data(loaded.config)
    again = build_scorer(config, data)
    again.prepare(data.items())
    assert torch.equal(again.scores(data.blocks("test")[0], 0, 40), scores)


def test_vectors_are_those_that_a_frozen_strategy_keeps(tmp_path):
    config, data = made(tmp_path)
    encoder = frozen_encoder(config, data)
    files = sorted((tmp_path / "cache" / "features").glob("*.npy"))
    before = [(path.name, path.stat().st_mtime_ns) for path in files]
    assert len(files) == 1
    words = ["backbone=bert_tiny", "strategy=frozen", *WORLD, f"runs_dir={tmp_path}"]
    frozen = compose(words)
    other = build_data(frozen)
    build_module(frozen, other)
    assert torch.equal(data.features, other.features)
    files = sorted((tmp_path / "cache" / "features").glob("*.npy"))
    assert [(path.name, path.stat().st_mtime_ns) for path in files] == before
    assert encoder.trainable() == []


def test_few_labels_change_popularity_and_nothing_that_needs_none(tmp_path):
    scores = {}
    for name in ("untrained", "popularity"):
        for few in ((), (FEW,)):
            words = [f"experiment={name}", *WORLD, *few, f"runs_dir={tmp_path}"]
            config = compose(words if name == "popularity" else [*words, "backbone=bert_tiny"])
            data = build_data(config)
            scorer = build_scorer(config, data)
            scorer.fit(data.log.training(), data.items())
            scorer.prepare(data.items())
            scores[name, bool(few)] = scorer.scores(data.blocks("test")[0], 0, 40)
            if few and name == "popularity":
                chosen = data.log.train_stop > data.log.offsets[:-1]
                assert chosen.sum() == 3
                assert float(scores[name, True][0].sum()) == np.diff(data.log.offsets)[chosen].sum() - 2 * 3
    assert torch.equal(scores["untrained", True], scores["untrained", False])
    assert not torch.equal(scores["popularity", True], scores["popularity", False])


def test_whitening_is_fitted_without_labels(tmp_path):
    config, data = made(tmp_path, "backbone.whiten=true")
    scorer = build_scorer(config, data)
    scorer.prepare(data.items())
    assert scorer.model.backbone.whitening.fitted
    assert torch.isfinite(scorer.scores(data.blocks("test")[0], 0, 40)).all()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["backbone=item_id"],
            "UntrainedScorer reads with a language model, and the backbone has none; use",
        ),
        (["backbone=item_id", "scorer=likelihood"], "LikelihoodScorer reads with a language model"),
        (["scorer=likelihood"], r"needs a language-modelling head, and .*tiny-bert lacks 6 weights of BertForMaskedLM"),
        (["backbone.dim=8"], "2 parameters of the backbone are random until they are trained"),
        (["scorer=likelihood", "~text"], "this composition has text=null, but a language model wants to read"),
    ],
)
def test_what_cannot_be_ranked_is_refused(words, says, tmp_path):
    config, data = made(tmp_path, *words)
    with pytest.raises(ValueError, match=says):
        build_scorer(config, data)


def test_a_language_model_is_asked_about_every_pair(tmp_path, monkeypatch):
    """The texts of history and candidate reach the prompt: by their rows in the text table, in order of time."""
    asked = []

    class Head:
        def __init__(self, model, **settings):
            self.texts, self.events = model.texts, settings.get("events", 10)
            asked.append((model, settings))

    words = ["scorer=likelihood", "scorer.positive=good", "+text.phrases.buy='bought it'"]
    config, data = made(tmp_path, *words)
    monkeypatch.setattr("lightning_modules.scorers.likelihood.LikelihoodScorer", Head)
    scorer = build_scorer(config, data)
    ((reader, settings),) = asked
    assert reader.folder == tmp_path / "cache" / "tiny-bert"
    assert settings["positive"] == "good"
    assert len(reader.texts) == len(data.items()) > data.log.n_items
    block = data.blocks("test")[0]
    told = []
    monkeypatch.setattr(Head, "prompts", lambda self, history, candidates: told.append((history, candidates)), False)
    monkeypatch.setattr(Head, "odds", lambda self, prompts: torch.zeros(3), False)
    scorer.network = torch.nn.Identity()
    LikelihoodScorer.scores(scorer, block, 2, 5)
    asking = (block.query >= 0).sum()
    assert len(told) == int(asking) > 4
    history, candidates = told[4]
    log, query = data.log, int(block.query[4])
    user, stop = data.split_of.queries["test"].user[query], data.split_of.queries["test"].stop[query]
    events = np.arange(log.offsets[user], stop)[-10:]
    assert history == [data.texts.texts[row] for row in log.history_rows(events, data.row)]
    assert any(text.endswith(", bought it") for one, _ in told for text in one)
    assert list(candidates) == list(data.texts.texts[2:5])


def test_settings_of_a_scorer_name_the_run():
    def digest(*words):
        config = compose(["experiment=untrained", *words])
        return run_digest(config, Circumstances(data="d", precision="32-true", world_size=1))

    names = {digest(), digest("scorer.half_life=3"), digest("scorer.tau=q0.5"), digest("scorer=likelihood")}
    assert len(names) == 4
    assert digest("scorer.half_life=5") == digest()
