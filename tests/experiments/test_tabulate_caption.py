"""What the caption says: all that is equal over the rows, and what is not."""

from tests.experiments.fabricated import NDCG, three_seeds, write_run
from tests.experiments.tabulated import table

BACKBONE = {"_target_": "lightning_modules.backbones.language_model.LanguageModelBackbone", "path": "minilm"}
TRUNCATED = BACKBONE | {"first_layers": 3, "dropout": 0.1, "dim": None}
INTEREST = {"_target_": "lightning_modules.interests.graph.GraphInterest", "steps": 2}


def test_what_is_equal_goes_to_the_caption_and_folders_do_not(tmp_path, capsys):
    lines = table(capsys, three_seeds(tmp_path))
    caption = next(line for line in lines if line.startswith("Equal in all rows"))
    expected = ("data movielens(variant=100k)", "loss softmax", "candidates sampled(n_sampled=256)", "item prior none")
    for part in (*expected, "dropout head.dropout=0.3", "precision 32-true", "epochs at most 5", "Seeds: 0, 1, 2."):
        assert part in caption
    assert "/somewhere" not in "".join(lines)


def test_the_caption_asks_of_rows_that_train_what_only_they_have(tmp_path, capsys):
    overrides = ("experiment=sasrec", "experiment=gru", "experiment=popularity")
    write_run(tmp_path, "a", overrides=overrides[:1])
    write_run(tmp_path, "b", changes={"trainer": {"max_epochs": 9}}, overrides=overrides[1:2])
    write_run(tmp_path, "c", changes=dict.fromkeys(("backbone", "loss", "head", "strategy")), overrides=overrides[2:])
    lines = table(capsys, tmp_path)
    assert any("Equal in all rows that train: data" in line and "loss softmax" in line for line in lines)
    assert any("Not equal in all rows that train: epochs at most." in line for line in lines)


def test_the_caption_states_the_model_of_all_rows(tmp_path, capsys):
    changes = {"backbone": TRUNCATED, "interest": INTEREST, "language_model_lr": 0.003}
    files = {"pretrained_digest": {"backbone.path": "abc"}}
    for strategy in ("lora", "full"):
        write_run(tmp_path, strategy, strategy=strategy, changes=changes, provenance=files)
    caption = next(line for line in table(capsys, tmp_path) if line.startswith("Equal in all rows"))
    assert "backbone language_model(path=minilm, first_layers=3, dropout=0.1) from files abc" in caption
    for part in ("interest graph(steps=2)", "head graph(prior=none,", "learning rate in the language model 0.003"):
        assert part in caption
    assert "Not equal" not in caption  # the strategy names the rows


def test_the_caption_names_what_rows_do_not_share(tmp_path, capsys):
    write_run(tmp_path, "a", strategy="lora", changes={"backbone": BACKBONE, "interest": INTEREST})
    write_run(tmp_path, "b", strategy="full", changes={"backbone": TRUNCATED})
    assert any("Not equal in all rows: interest, backbone, dropout." in line for line in table(capsys, tmp_path))


def test_other_files_of_one_name_are_another_backbone(tmp_path, capsys):
    for strategy, digest in (("lora", "abc"), ("full", "def")):
        files = {"pretrained_digest": {"backbone.path": digest}}
        write_run(tmp_path, strategy, strategy=strategy, changes={"backbone": BACKBONE}, provenance=files)
    assert any("Not equal in all rows: backbone." in line for line in table(capsys, tmp_path, "--by", "strategy"))


def test_the_caption_says_what_rows_begin_from(tmp_path, capsys):
    for strategy in ("lora", "full"):
        write_run(tmp_path, strategy, strategy=strategy, changes={"parents": ["frozen-1"]})
    lines = table(capsys, tmp_path, "--by", "strategy")
    assert any("All rows begin from run frozen-1, whose cost is not counted." in line for line in lines)
    write_run(tmp_path, "ia3", strategy="ia3", changes={"parents": []})
    lines = table(capsys, tmp_path, "--by", "strategy")
    assert any("Some rows begin from run frozen-1, whose cost is not counted." in line for line in lines)


def test_what_no_word_of_the_caption_covers_is_named_by_its_path(tmp_path, capsys):
    write_run(tmp_path, "a", strategy="lora", provenance={"world_size": 1})
    trainer = {"max_epochs": 5, "accumulate_grad_batches": 4}
    write_run(tmp_path, "b", strategy="full", changes={"trainer": trainer}, provenance={"world_size": 2})
    said = next(line for line in table(capsys, tmp_path) if "Not equal" in line)
    assert "Not equal in all rows: world_size, trainer.accumulate_grad_batches." in said


def test_the_caption_counts_the_comparisons_of_each_family(tmp_path, capsys):
    for place, name in enumerate(("lora", "full", "side")):
        write_run(tmp_path, name, [value - 0.1 * place for value in NDCG["a"]], name)
    said = " ".join(table(capsys, tmp_path, "--reference", "strategy=full", "--by", "strategy"))
    assert "for the 2 comparisons against the best row of each column and the 2 comparisons against full, level" in said


def test_emphasis_is_explained_where_nothing_was_tested(tmp_path, capsys):
    for name, value in (("lora", 0.5), ("full", 0.4)):
        write_run(tmp_path, name, strategy=name, metrics={"test/hr@10": value, "test/tail/hr@10": value})
    said = " ".join(table(capsys, tmp_path, "--metrics", "test/tail/hr@10"))
    assert "Best bold, second underlined." in said
    assert "Wilcoxon" not in said
