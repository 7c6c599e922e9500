"""What scripts for Hugging Face's Trainer bring along works, or is refused with the way when the Trainer is made."""

import warnings
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, DatasetDict

from hf_mtl import MultiTaskTrainer, MultiTaskTrainingArguments
from hf_mtl.errors import DataError, UserError
from hf_mtl.training.trainer.own_code import take_tokenizer
from tests import tiny
from tests.training.trainers import make, parameters, same

ROWS = tiny.datasets({"topic": 20, "mood": 12, "score": 18})


def trainer(folder: Path, cls: type[MultiTaskTrainer] = MultiTaskTrainer, **given: Any) -> MultiTaskTrainer:
    args = MultiTaskTrainingArguments(
        str(folder), max_steps=1, report_to="none", use_cpu=True, disable_tqdm=True, save_strategy="no"
    )
    usual = {"model": tiny.model(), "args": args, "train_dataset": ROWS, "processing_class": tiny.tokenizer()}
    return cls(**{**usual, **given})


# ---- The tokenizer ----


def test_the_tokenizer_is_taken_by_its_former_name_with_a_warning(tmp_path: Path) -> None:
    tokenizer = tiny.tokenizer()
    with pytest.warns(FutureWarning, match=r"`tokenizer` is deprecated .* Use `processing_class` instead") as said:
        made = trainer(tmp_path, processing_class=None, tokenizer=tokenizer)
    assert made.processing_class is tokenizer
    assert said[0].filename == __file__  # where the Trainer is made


def test_two_tokenizers_are_refused() -> None:
    with pytest.raises(UserError, match="tokenizer: is given, and processing_class too"):
        take_tokenizer(object(), {"tokenizer": object()})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert take_tokenizer("new", {}) == "new"


@pytest.mark.parametrize(("found", "said"), [(None, "is missing"), ("bert-base-uncased", "is a str")])
def test_texts_without_a_tokenizer_are_refused(tmp_path: Path, found: Any, said: str) -> None:
    with pytest.raises(DataError, match=f"processing_class: {said}.*AutoTokenizer.* for topic, mood, score"):
        trainer(tmp_path, processing_class=found)


# ---- Data ----


def test_rows_in_a_format_train_as_without(tmp_path: Path) -> None:
    def same_texts(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        return dict(batch)

    formats = {"topic": ROWS["topic"].with_format("arrow"), "mood": ROWS["mood"].with_transform(same_texts)}
    formats["score"] = ROWS["score"].with_format("torch", columns=["text"])
    plain, other = (
        make(tmp_path, train=ROWS, max_steps=1),
        make(tmp_path, train=formats, evaluation=formats, max_steps=1),
    )
    for one in (plain, other):
        one.train()
    assert same(parameters(plain), parameters(other))
    predictions = [one.predict(rows).predictions for one, rows in ((plain, ROWS), (other, formats))]
    assert all((predictions[0][task] == predictions[1][task]).all() for task in ROWS)


def test_splits_in_place_of_tasks_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"tasks\.train: the model has no such task\. .*give \{task: data\['train'\]\}"
    ):
        trainer(tmp_path, train_dataset=DatasetDict(train=ROWS["topic"]))


def test_a_stream_is_refused_with_the_way(tmp_path: Path) -> None:
    data: dict[str, Any] = {**ROWS, "topic": ROWS["topic"].to_iterable_dataset()}
    with pytest.raises(DataError, match="IterableDataset. Steps are planned over all rows .*Dataset.from_generator"):
        trainer(tmp_path, train_dataset=data)
    made = trainer(tmp_path)
    for use in (made.evaluate, made.predict, made.score):
        with pytest.raises(DataError, match="IterableDataset. Steps are planned"):
            use({"topic": data["topic"]})


# ---- Arguments and methods ----


def test_an_argument_that_no_trainer_has_is_refused_before_rows_are_read(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"^schedule: is no argument of MultiTaskTrainer\. .*Did you mean 'schedules'"
    ):
        trainer(tmp_path, schedule=[], train_dataset={"topic": Dataset.from_dict({})})


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"mixture": {"temprature": 2}}, r"^mixture\.temprature: unknown key .*Did you mean 'temperature'"),
        ({"mixture": "uniform"}, r"^mixture: found 'uniform'\. Allowed: a mapping, such as"),
        ({"balancing": "uw"}, r"^balancing: found 'uw'\. Allowed: a mapping, such as .*weighting"),
        (
            {"schedules": {"type": "warmup", "task": "topic"}},
            r"^schedules: found {type: .*\. Allowed: a list",
        ),
        ({"schedules": "alternating"}, r"^schedules: found 'alternating'\. Allowed: a list"),
    ],
)
def test_a_section_of_another_shape_is_refused_before_rows_are_read(
    tmp_path: Path, sections: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        trainer(tmp_path, **sections, train_dataset={"topic": Dataset.from_dict({})})


class OwnLoss(MultiTaskTrainer):
    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        return model(**inputs).loss


class Above(OwnLoss):
    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        return super().compute_loss(*args, **kwargs)


class OwnStep(MultiTaskTrainer):
    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
        return model(**inputs).loss.detach()


class OwnLoader(MultiTaskTrainer):
    def get_train_dataloader(self) -> Any:
        return []


@pytest.mark.parametrize(
    ("cls", "said"),
    [
        (OwnLoss, "compute_loss: of OwnLoss never calls .*Set `loss` on the task"),
        (Above, "compute_loss: of OwnLoss never calls"),
        (OwnStep, "training_step: of OwnStep never calls"),
        (OwnLoader, "get_train_dataloader: of OwnLoader never calls .*set mixture"),
    ],
)
def test_a_method_that_does_a_steps_work_alone_is_refused_with_the_way(
    tmp_path: Path, cls: type[MultiTaskTrainer], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        trainer(tmp_path, cls)
    trainer(tmp_path, cls, train_dataset=None)  # it has no step to do


class Doubled(MultiTaskTrainer):
    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        return 2 * super().compute_loss(*args, **kwargs)


def test_a_method_that_calls_the_one_that_it_replaces_is_taken(tmp_path: Path) -> None:
    losses = [trainer(tmp_path, cls).train().training_loss for cls in (MultiTaskTrainer, Doubled)]
    assert losses[1] == pytest.approx(2 * losses[0])


class Watched(MultiTaskTrainer):
    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        loss = super().compute_loss(*args, **kwargs)
        self.watched = float(loss)
        return loss


@pytest.mark.parametrize("layout", ["segments", "split"])
def test_a_changed_loss_beside_task_gradients_is_refused(tmp_path: Path, layout: str) -> None:
    balancing = {"aggregator": "mean", "gradients": {"layout": layout}}
    with pytest.raises(UserError, match="^compute_loss: of this Doubled changes the loss, .*penalties of its head"):
        trainer(tmp_path, Doubled, balancing=balancing).train()
    made = trainer(tmp_path, Watched, balancing=balancing)
    assert made.train().training_loss == pytest.approx(made.watched)


class OwnPrediction(MultiTaskTrainer):
    def prediction_step(self, *args: Any, **kwargs: Any) -> Any:
        return super().prediction_step(*args, **kwargs)


class OwnEvaluation(OwnPrediction):
    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        return {"eval_loss": self.prediction_step(self.model, {}, True)}


class OwnBatches:
    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        return []


class WithOwnBatches(OwnBatches, MultiTaskTrainer):
    pass


@pytest.mark.parametrize(
    ("cls", "said"),
    [
        (OwnPrediction, "^prediction_step: of OwnPrediction is never called .*Use compute_metrics"),
        (WithOwnBatches, "^get_eval_dataloader: of OwnBatches is never called .*evaluate.. or predict"),
    ],
)
def test_a_method_that_nothing_calls_is_refused_with_the_way(
    tmp_path: Path, cls: type[MultiTaskTrainer], said: str
) -> None:
    for rows in (ROWS, None):
        with pytest.raises(UserError, match=said):
            trainer(tmp_path, cls, train_dataset=rows)
    trainer(tmp_path, OwnEvaluation)  # which calls it


def test_a_loss_put_on_a_trainer_in_place_of_its_own_is_refused_in_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trainer(tmp_path)
    monkeypatch.setattr(made, "compute_loss", lambda model, inputs, **_: next(model.parameters()).sum())
    with pytest.raises(UserError, match="^compute_loss: of this MultiTaskTrainer did not call .*Set `loss` on the"):
        made.train()
