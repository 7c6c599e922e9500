"""Trainings on remembered lower layers: the same model, the same bits again, the best evaluation at the end."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModel, BertConfig, TrainerCallback, set_seed

from hf_mtl import MultiTaskModel
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.experiments.draws import sample
from hf_mtl.experiments.frozen_recipe import FrozenRecipe, Trained
from hf_mtl.experiments.watchers import LearningCurve, Watcher
from hf_mtl.modeling.parameters import training_flops
from tests import tiny
from tests.training import runs


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrozenRecipe]:
    folder = tmp_path_factory.mktemp("frozen")
    set_seed(0)
    config: dict[str, Any] = {key: value for key, value in tiny.BERT.items() if key != "model_type"}
    AutoModel.from_config(BertConfig(**config)).save_pretrained(folder / "encoder")
    tiny.tokenizer().save_pretrained(folder / "encoder")
    with runs.own_cache(folder):
        path = runs.write_recipe(folder / "recipe")
        yield FrozenRecipe(path, 1, [f"model.backbone={folder / 'encoder'}", "model.tokenizer=null"])


class Seen(Watcher):
    """Notes the Trainer's tasks."""

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.tasks = list(self.trainer.tasks)


def train(recipe: FrozenRecipe, folder: Path, *watchers: TrainerCallback) -> Trained:
    arguments = {"output_dir": str(folder), "max_steps": 4, "eval_steps": 2, "learning_rate": 1e-2, "seed": 0}
    return recipe.train(
        recipe.model(["mood", "score"], seed=0),
        (recipe.encode("train"), sample(recipe.encode("validation"), 10)),
        LearningCurve("eval_average", "eval_loss"),
        {**arguments, "per_device_train_batch_size": 4},
        watchers,
        mixture={"temperature": "uniform"},
    )


@pytest.fixture(scope="module")
def trained(recipe: FrozenRecipe, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(recipe, tmp_path_factory.mktemp("run"))


def test_a_model_is_the_recipes_with_what_was_asked_for(recipe: FrozenRecipe) -> None:
    plain = recipe.model(["mood"], seed=0)
    assert list(plain.tasks) == ["mood"]
    assert len(plain.encoder.encoder.layer) == 1
    assert plain.encoder.embeddings is recipe.features
    changed = recipe.model(["mood"], seed=0, head={"type": "mlp", "hidden": 3}, pooling="max", dropout=0.4)
    assert (changed.config.pooling, changed.config.dropout) == ("max", 0.4)


def test_a_run_ends_with_its_best_evaluation_and_repeats_in_bits(
    recipe: FrozenRecipe, trained: Trained, tmp_path: Path
) -> None:
    seen = Seen()
    again = train(recipe, tmp_path, seen)
    assert seen.tasks == ["mood", "score"]
    assert [point["step"] for point in trained.curve.points] == [2, 4]
    for one, other in zip(trained.trainer.model.parameters(), again.trainer.model.parameters(), strict=True):
        assert torch.equal(one, other)
    rows = sample(recipe.encode("validation"), 10)
    mine = {task: rows[task] for task in ("mood", "score")}
    best = trained.predict(mine)
    assert best.outputs["mood"].shape == (10, 2)
    score = np.mean([best.scores["mood"]["f1_macro"], best.scores["score"]["pearson"]])
    assert score == pytest.approx(trained.curve.best["score"])


def test_the_log_keeps_what_is_asked_for_and_the_step(trained: Trained) -> None:
    log = trained.log(lambda key: key.startswith("loss/"))
    assert [sorted(record) for record in log] == [["loss/mood", "loss/score", "step"]] * 2
    assert all(round(value, 5) == value for record in log for value in record.values())


def padded(split: EncodedSplit, rows: Sequence[int], pad_id: int = 0) -> torch.Tensor:
    ids = [torch.from_numpy(split.tokens.ids(row).astype(np.int64)) for row in rows]
    return pad_sequence(ids, batch_first=True, padding_value=pad_id)


def test_operations_are_those_of_a_run_that_remembers_nothing(recipe: FrozenRecipe, trained: Trained) -> None:
    whole = MultiTaskModel.from_backbone(recipe.recipe.model.backbone, recipe.tasks, freeze=1)
    batch = {"input_ids": padded(recipe.encode("train")["mood"], [0, 1])}
    trained.trainer.model.train()
    assert trained.trainer.floating_point_ops(batch) == training_flops(whole.encoder, batch, backward=True)


def test_warm_texts_are_known_before_the_first_step(recipe: FrozenRecipe, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {"mood": recipe.encode("validation")["mood"]}
    recipe.warm(rows, rows=7)
    monkeypatch.setattr(recipe.features, "_encode", None)  # whatever asks for it fails
    recipe.features(padded(rows["mood"], range(len(rows["mood"])), recipe.features.pad_id))
