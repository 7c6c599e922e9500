"""The contract: what every room does with a task of any type. A type's own test gives the sample."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from datasets import Dataset
from torch import Tensor

from hf_mtl import MultiTaskModel, pipeline
from hf_mtl.data.collate import Collator
from hf_mtl.data.labels import encode_labels
from hf_mtl.data.load import load_tasks
from hf_mtl.errors import ModelError
from hf_mtl.evaluation import baseline_scores, check_metrics, headline_keys, score_notes, score_task, suited_metrics
from hf_mtl.inference.asked_chunks import FileOptions
from hf_mtl.inference.encode import encode_splits
from hf_mtl.inference.predict_file import predict_file
from hf_mtl.modeling.heads.native import NativeHead
from hf_mtl.tasks import DatasetSource, Task, task_from_dict
from hf_mtl.tasks.predicting import RowOutputs
from tests import tiny
from tests.close import close
from tests.task_types.conftest import TRAINED
from tests.task_types.sample import Sample
from tests.training.trainers import make, records

pytestmark = pytest.mark.usefixtures("outside")
# Adam would blow up gradients that are zero but for rounding.
SGD = {"optim": "sgd", "learning_rate": 0.05, "max_steps": 2}


@pytest.fixture
def task(sample: Sample) -> Task:
    return sample.task


def labels_of(sample: Sample, count: int = 24) -> np.ndarray:
    """The labels as the task encodes them, which scores and baselines read."""
    return encode_labels(sample.task, "t", "train", sample.rows(count)).values


def trained(sample: Sample, folder: Path, **options: object) -> MultiTaskModel:
    rows = {"t": sample.rows(32)}
    model = tiny.model(tasks={"t": sample.task}, head="linear")
    trainer = make(folder, model=model, train=rows, evaluation=rows, **options)  # type: ignore[arg-type]
    trainer.train()
    return trainer.model


def without_labels(rows: Dataset, task: Task, places: list[int]) -> Dataset:
    columns = rows.to_dict()
    for column in task.label_columns:
        columns[column] = [None if place in places else value for place, value in enumerate(columns[column])]
    return Dataset.from_dict(columns)


def test_a_task_names_its_outputs_and_can_be_scored_by_default(task: Task) -> None:
    assert len(task.output_names) == task.num_outputs
    assert not list(task.unknown_outputs("t"))
    assert not list(task.key_mistakes("t"))
    assert check_metrics({"t": task}) == []
    assert set(headline_keys(task)) <= set(suited_metrics(task))
    assert set(Task.scoring_keys) <= set(task.scoring_keys) <= set(type(task).model_fields)


def test_a_task_comes_back_from_json(task: Task) -> None:
    assert task_from_dict(json.loads(json.dumps(task.for_config()))) == task


def test_labels_are_numbers_and_a_row_without_them_is_missing(sample: Sample) -> None:
    rows = sample.rows(10)
    whole = encode_labels(sample.task, "t", "train", rows)
    holed = encode_labels(sample.task, "t", "train", without_labels(rows, sample.task, [3, 4]))
    assert len(whole.values) == 10
    assert not whole.missing.any()
    assert np.flatnonzero(holed.missing).tolist() == [3, 4]
    np.testing.assert_array_equal(holed.values[~holed.missing], whole.values[~holed.missing])


def test_each_row_has_a_mass_and_a_stratum(sample: Sample) -> None:
    labels = labels_of(sample)
    masses, strata = sample.task.masses(sample.encoded().labels), sample.task.strata(labels)
    assert strata.shape == (24,)
    assert masses is None or (masses.shape == (24,) and (masses >= 0).all())
    assert strata.dtype.kind == "i"
    assert len(np.unique(strata)) > 1
    counts = sample.task.class_counts(labels)
    assert counts is None or len(counts) == len(sample.task.label_names or [])


def test_rows_are_carved_and_drawn_by_their_strata(sample: Sample, tmp_path: Path) -> None:
    without_labels(sample.rows(60), sample.task, [5]).to_json(str(tmp_path / "rows.jsonl"))
    source = DatasetSource(path="json", data_files=str(tmp_path / "rows.jsonl"))
    update = {"dataset": source, "max_rows": 20, "stratify": True, "validation_fraction": 0.3}
    loaded = load_tasks({"t": sample.task.model_copy(update=update)})["t"]
    train, validation = loaded.labels["train"].values, loaded.labels["validation"].values
    assert (len(train), loaded.carved) == (20, ("validation",))
    assert 5 < len(validation) < 39
    assert any("1 of 60 train rows has no label" in note for note in loaded.notes)
    assert set(sample.task.strata(validation)) & set(sample.task.strata(train))
    shown = [set(map(str, sample.texts(loaded.splits[split]))) for split in ("train", "validation")]
    assert not shown[0] & shown[1]


def test_a_batch_holds_the_labels_of_its_rows(sample: Sample) -> None:
    data = {"t": sample.rows(12), "mood": tiny.rows("mood", 9)}
    splits = encode_splits(data, {"t": sample.task, "mood": tiny.TASKS["mood"]}, tiny.tokenizer(), None, "train")
    batch = Collator(splits, 0, 64)(np.array([0, 0, 0, 1]), np.array([7, 2, 5, 1]))
    expected, found = splits["t"].labels[[7, 2, 5]], batch["labels"]["t"].numpy()
    rows = tuple(slice(wide) for wide in found.shape)
    np.testing.assert_array_equal(found, expected[rows])
    assert expected.size == found.size or (np.delete(expected, np.s_[: found.shape[1]], axis=1) == -100).all()
    count = len(splits["t"].sequences_of(np.array([7, 2, 5])))
    assert batch["segments"] == {"t": (0, count), "mood": (count, count + 1)}


def test_row_losses_are_those_by_hand_whatever_stands_beside_a_row(sample: Sample) -> None:
    outputs, labels = sample.outputs(), sample.encoded().labels
    found = sample.task.row_losses(torch.from_numpy(outputs), torch.from_numpy(labels))
    # An absent site may stand for a choice that is no choice: e to a large negative number is 0.
    np.testing.assert_allclose(found.numpy(), sample.loss(outputs.astype(np.float64), labels), rtol=1e-5)
    some = np.array([4, 1, 9])
    alone = sample.task.row_losses(torch.from_numpy(outputs[some]), torch.from_numpy(labels[some]))
    assert torch.equal(alone, found[torch.from_numpy(some)])
    rounded = sample.task.row_losses(torch.from_numpy(outputs).bfloat16(), torch.from_numpy(labels))
    assert rounded.dtype == torch.float32


@pytest.mark.parametrize("sample", TRAINED, indirect=True)
def test_the_update_does_not_depend_on_how_a_step_is_split(sample: Sample, tmp_path: Path) -> None:
    whole = trained(sample, tmp_path / "a", per_device_train_batch_size=8, **SGD)
    parts = trained(sample, tmp_path / "b", per_device_train_batch_size=2, gradient_accumulation_steps=4, **SGD)
    for (name, left), right in zip(whole.named_parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-5, msg=name)


def is_right(sample: Sample, predicted: np.ndarray, references: np.ndarray) -> np.ndarray:
    if sample.answers is not None:
        return sample.answers(predicted, references)
    if predicted.size != references.size:
        references = references.argmax(axis=1)  # of soft labels
    found = predicted.reshape(references.shape)
    given = references.astype(np.float64)
    return np.isclose(found, given, rtol=1e-6) | (given == -100) | np.isnan(given)


def test_a_model_that_is_always_right_scores_best(sample: Sample) -> None:
    task, references = sample.task, sample.encoded().scored_against
    known = task.training_statistics(labels_of(sample))
    perfect = task.perfect_outputs(references)
    assert (len(perfect), perfect.shape[-1]) == (24, task.num_outputs)
    assert is_right(sample, task.predictions(perfect), references).all()
    best, other = (score_task(task, "t", found, references, known) for found in (perfect, sample.outputs()))
    assert best.keys() == other.keys()
    assert all(best[key] == pytest.approx(1) and best[key] > other[key] for key in headline_keys(task))
    assert score_notes(task, "t", perfect, references, best) == []


def test_outputs_are_scored_the_same_however_they_are_kept(sample: Sample) -> None:
    task, outputs, split = sample.task, sample.outputs(), sample.encoded()
    whole = score_task(task, "t", outputs, split.scored_against)
    assert score_task(task, "t", task.gathered([outputs[:9], outputs[9:]]), split.scored_against) == whole
    if (compact := task.compact(outputs.shape[1:-1])) is not None:
        kept = compact.of(torch.from_numpy(outputs)).numpy()
        assert kept.shape == (24, compact.width)
        assert score_task(task, "t", compact.read(kept), split.scored_against) == whole


def test_outputs_that_are_not_finite_have_no_score(sample: Sample) -> None:
    outputs, references = sample.outputs(), sample.encoded().scored_against
    outputs[3, 0] = np.nan
    scores = score_task(sample.task, "t", outputs, references)
    assert np.isnan(list(scores.values())).all()
    assert score_notes(sample.task, "t", outputs, references, scores) == [
        "t: 1 of 24 outputs are not finite, so it has no scores."
    ]


def test_predictions_that_are_all_the_same_are_said(sample: Sample) -> None:
    references = sample.encoded().scored_against
    perfect = sample.task.perfect_outputs(references)
    same = np.repeat(perfect[:1], 24, axis=0) if sample.same is None else sample.same(perfect)
    assert len(list(sample.task.sameness(sample.task.outputs_of(same), references))) > 0


def made(sample: Sample, outputs: np.ndarray | None = None) -> RowOutputs:
    """Outputs of the sample's rows, random ones unless given."""
    rows, encoded = sample.rows(24).select_columns(sample.task.text_columns), sample.encoded()
    variances = np.ones((24, sample.task.num_outputs)) if sample.task.real_valued else None
    return RowOutputs(sample.outputs() if outputs is None else outputs, rows, encoded.references, variances)


def test_a_prediction_is_plain_and_does_not_depend_on_the_rows_beside_it(sample: Sample) -> None:
    found = made(sample)
    predicted = sample.task.predicted(found)
    assert json.loads(json.dumps(predicted)) == predicted
    assert len(predicted) == 24
    some = np.array([4, 1, 9])
    assert sample.task.predicted(found.select(some)) == [predicted[row] for row in some]
    assert sample.task.predicted(found.select(some[:0])) == []
    assert len({json.dumps(row) for row in predicted}) > 1


def test_the_likeliest_come_first_and_their_probabilities_fall(sample: Sample) -> None:
    found = made(sample, sample.task.perfect_outputs(sample.encoded().scored_against))
    ranked, predicted = sample.task.ranked(found, None), sample.task.predicted(found)
    if ranked is None:
        return
    for row, best in zip(ranked, predicted, strict=True):
        scores = [item["score"] for item in row]
        assert scores == sorted(scores, reverse=True)
        assert 0 <= scores[-1] <= scores[0] <= 1 + 1e-12
        assert row[: len(best)] == best if isinstance(best, list) else row[0] == best
    assert sample.task.ranked(found, 1) == [row[:1] for row in ranked]


def test_predictions_are_columns_of_types_that_do_not_depend_on_the_rows(sample: Sample) -> None:
    found = made(sample)
    few, all_of_it = (sample.task.columns(found, everything) for everything in (False, True))
    assert {key: all_of_it[key] for key in few} == few
    for columns, everything in ((few, False), (all_of_it, True)):
        assert {len(values) for values in columns.values()} == {24}
        assert not any(values.null_count for values in columns.values())
        none = sample.task.columns(found.select(np.empty(0, dtype=np.int64)), everything)
        assert {key: values.type for key, values in none.items()} == {
            key: values.type for key, values in columns.items()
        }


def test_a_model_predicts_by_name_what_a_trainer_predicts(sample: Sample, tmp_path: Path) -> None:
    rows, texts = sample.rows(24), sample.rows(24).select_columns(sample.task.text_columns)
    model = tiny.model(tasks={"t": sample.task}, head="linear")
    trainer = make(tmp_path, model=model, train={"t": rows}, evaluation={"t": rows}, max_steps=1)
    trainer.train()
    raw = trainer.predict({"t": rows}).predictions["t"]
    outputs = RowOutputs(raw, texts, sample.encoded().references)
    expected = sample.task.predicted(outputs)
    assert model.predict(texts, "t") == close(expected)
    assert model.predict(texts, "t", batch_tokens=7) == close(expected)
    classify = pipeline(model, tokenizer=tiny.tokenizer(), task_name="t", device="cpu")
    assert list(classify(texts, batch_size=5)) == close(expected)
    texts.to_json(tmp_path / "rows.jsonl")
    columns = {f"t.{key}": values.to_pylist() for key, values in sample.task.columns(outputs, True).items()}
    for output in ("out.jsonl", "out.parquet"):
        place = str(tmp_path / output)
        predict_file(model, tiny.tokenizer(), str(tmp_path / "rows.jsonl"), place, FileOptions(everything=True))
        found = Dataset.from_parquet(place) if output.endswith("parquet") else Dataset.from_json(place)
        assert not any(found["error"])
        assert {key: list(found[key]) for key in columns} == close(columns)


def test_a_linear_model_is_better_than_a_constant(sample: Sample) -> None:
    rows, labels = sample.rows(120), labels_of(sample, 120)
    texts, references = sample.texts(rows), sample.encoded(120).scored_against
    found = baseline_scores(sample.task, "t", texts, labels, texts, references)
    key = headline_keys(sample.task)[0]
    assert found["tfidf"][key] > found["majority"][key]


@pytest.mark.parametrize("sample", TRAINED, indirect=True)
def test_training_lowers_the_loss_and_predicts_every_row(sample: Sample, tmp_path: Path) -> None:
    rows = {"t": sample.rows(32)}
    model = tiny.model(tasks={"t": sample.task}, head="linear")
    trainer = make(tmp_path, model=model, train=rows, evaluation=rows, max_steps=12, learning_rate=5e-3)
    trainer.train()
    losses = records(trainer, "loss/t")
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    assert f"eval_t_{headline_keys(sample.task)[0]}" in trainer.evaluate()
    found = trainer.predict({"t": without_labels(rows["t"], sample.task, [0, 7])})
    assert found.predictions["t"].shape == sample.task.as_predicted(sample.outputs(32)).shape
    bare = trainer.predict({"t": rows["t"].select_columns(sample.task.text_columns)})
    np.testing.assert_array_equal(bare.predictions["t"], found.predictions["t"])
    assert "test_t_loss" in found.metrics
    assert "t" not in bare.label_ids


@pytest.mark.parametrize("sample", TRAINED, indirect=True)
def test_a_saved_model_predicts_the_same_and_keeps_its_statistics(sample: Sample, tmp_path: Path) -> None:
    model = trained(sample, tmp_path / "run", max_steps=2).eval()
    model.save_pretrained(tmp_path / "model")
    loaded = MultiTaskModel.from_pretrained(tmp_path / "model")
    ids = torch.tensor([[2, 7, 9, 3], [2, 30, 40, 3]])
    assert loaded.tasks == {"t": sample.task}
    assert torch.equal(copy.deepcopy(loaded)(ids).logits["t"], model(ids).logits["t"])
    assert loaded.heads.of("t").statistics.for_metrics() == model.heads.of("t").statistics.for_metrics()
    assert loaded.has_statistics("t")


def plain_logits(model: Any, ids: Tensor) -> Tensor:
    """The outputs of a model of transformers, in the shape of ours."""
    if isinstance(model, transformers.BertForMultipleChoice):
        return model(ids[:, None]).logits[..., None]
    output = model(ids)
    if "start_logits" in output:
        return torch.stack([output.start_logits, output.end_logits], dim=-1)[:, None]
    return output.logits


@pytest.mark.parametrize("sample", TRAINED, indirect=True)
def test_a_task_is_exported_or_refused_with_a_reason(sample: Sample, tmp_path: Path) -> None:
    fits = NativeHead.unsuited(sample.task, transformers.BertConfig()) is None
    model = tiny.model(tasks={"t": sample.task}, head="native" if fits else "linear").eval()
    kept = model.heads.of("t").statistics.kept
    if kept:
        model.set_statistics("t", **{name: np.arange(1.0, 1 + sample.task.num_outputs).tolist() for name in kept})
    if sample.task.auto_model is None or sample.task.not_exported is not None:
        reason = sample.task.not_exported or rf"no AutoModel .* of type {sample.task.type}\."
        with pytest.raises(ModelError, match=rf"tasks\.t: {reason}"):
            model.export_task("t", tmp_path, tiny.tokenizer())
        assert not list(tmp_path.iterdir())
        return
    model.export_task("t", tmp_path, tiny.tokenizer())
    plain = getattr(transformers, sample.task.auto_model).from_pretrained(tmp_path).eval()
    ids = torch.tensor([[2, 7, 9, 3], [2, 30, 40, 3]])
    torch.testing.assert_close(plain_logits(plain, ids), model(ids).logits["t"], rtol=1e-4, atol=1e-5)
    assert list(plain.config.id2label.values()) == sample.task.output_names
    assert plain.config.problem_type == sample.task.problem_type
