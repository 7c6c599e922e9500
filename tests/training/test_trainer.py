"""What a user of `transformers.Trainer` expects of `MultiTaskTrainer`, feature by feature."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch.nn import functional
from transformers import EvalPrediction, TrainerCallback

from hf_mtl import MultiTaskModel, MultiTaskTrainer, MultiTaskTrainingArguments, Regression, SequenceClassification
from hf_mtl.errors import CheckpointError
from hf_mtl.modeling import split_parameters
from hf_mtl.tasks import Task
from tests import tiny

SMALL = {"topic": 30, "mood": 12, "score": 18}


def make(
    folder: Path,
    *,
    model: MultiTaskModel | None = None,
    train: Mapping[str, Dataset] | Dataset | None = None,
    evaluation: Mapping[str, Dataset] | Dataset | None = None,
    weighting: str | dict[str, Any] = "ew",
    mixture: dict[str, Any] | None = None,
    callbacks: list[TrainerCallback] | None = None,
    compute_metrics: Callable[[EvalPrediction], dict[str, float]] | None = None,
    **options: Any,
) -> MultiTaskTrainer:
    defaults = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 8,
        "per_device_eval_batch_size": 16,
        "max_steps": 4,
        "learning_rate": 1e-3,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
    }
    return MultiTaskTrainer(
        model=model or tiny.model(),
        args=MultiTaskTrainingArguments(**{**defaults, **options}),
        train_dataset=tiny.datasets(SMALL) if train is None else train,
        eval_dataset=tiny.datasets(SMALL, seed=1) if evaluation is None else evaluation,
        processing_class=tiny.tokenizer(),
        mixture=mixture,
        balancing={"weighting": weighting},
        callbacks=callbacks,
        compute_metrics=compute_metrics,
    )


def parameters(trainer: MultiTaskTrainer) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in trainer.model.named_parameters()}


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def records(trainer: MultiTaskTrainer, key: str) -> list[float]:
    return [record[key] for record in trainer.state.log_history if key in record]


# ---- The optimizer ----


def test_encoder_heads_and_balancing_have_their_own_learning_rates(tmp_path: Path) -> None:
    rates = {"learning_rate": 1e-4, "head_learning_rate": 2e-3, "balancing_learning_rate": 5e-2}
    trainer = make(tmp_path, weighting="uw", weight_decay=0.1, **rates)
    groups = trainer.create_optimizer().param_groups
    found = {id(p): (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
    encoder, heads = split_parameters(trainer.model)
    assert len(found) == sum(len(group["params"]) for group in groups) == len(encoder) + len(heads) + 1
    for named, rate in ((encoder, 1e-4), (heads, 2e-3)):
        for name, parameter in named:
            decay = 0.0 if name.endswith("bias") or "LayerNorm" in name else 0.1
            assert found[id(parameter)] == (rate, decay), name
    assert found[id(trainer.weighting.s)] == (5e-2, 0.0)


def test_without_rates_of_their_own_everything_has_the_learning_rate(tmp_path: Path) -> None:
    trainer = make(tmp_path, weighting="uw", learning_rate=3e-4)
    assert {group["lr"] for group in trainer.create_optimizer().param_groups} == {3e-4}


@pytest.mark.parametrize("rates", [{}, {"head_learning_rate": 1e-2}])
def test_the_schedule_ends_every_rate_at_zero(tmp_path: Path, rates: dict[str, float]) -> None:
    trainer = make(tmp_path, weighting="uw", max_steps=2, **rates)
    trainer.train()
    assert [group["lr"] for group in trainer.optimizer.param_groups] == [0.0] * len(trainer.optimizer.param_groups)


def test_clipping_neither_sees_nor_touches_s(tmp_path: Path) -> None:
    options = {"optim": "sgd", "lr_scheduler_type": "constant", "learning_rate": 1.0, "max_grad_norm": 1e-6}
    trainer = make(tmp_path, weighting="uw", max_steps=1, balancing_learning_rate=0.1, **options)
    before = parameters(trainer)
    trainer.train()
    record = trainer.state.log_history[0]
    after = parameters(trainer)
    moved = torch.stack([(after[name] - before[name]).norm() for name in before]).norm()
    assert float(moved) <= 1.1e-6 < record["grad_norm"], "the model's gradient was clipped"
    expected = []
    for name, a in (("topic", 1.0), ("mood", 1.0), ("score", 0.5)):  # s starts at 0
        exposure = 3 * record[f"share/{name}"]
        expected.append(-0.1 * exposure * (0.5 - a * record[f"loss/{name}"]))
    assert trainer.weighting.s.tolist() == pytest.approx(expected, rel=1e-6)

    # The logged norm is that of the model's gradients alone.
    plain = make(tmp_path, weighting={"name": "fixed", "weights": [1.0, 1.0, 0.5]}, max_steps=1, **options)
    plain.train()
    assert plain.state.log_history[0]["grad_norm"] == pytest.approx(record["grad_norm"], rel=1e-6)


class Watch(TrainerCallback):
    """Keeps the parameters before and after each step, and which tasks the step had."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, dict[str, torch.Tensor], dict[str, torch.Tensor]]] = []

    def on_step_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        self.before = {name: value.detach().clone() for name, value in model.named_parameters()}

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        after = {name: value.detach().clone() for name, value in model.named_parameters()}
        self.steps.append((state.global_step - 1, self.before, after))


def test_heads_of_absent_tasks_are_not_touched(tmp_path: Path) -> None:
    watch = Watch()
    mixture = {"one_task_per_step": True, "temperature": "uniform"}
    trainer = make(
        tmp_path,
        mixture=mixture,
        callbacks=[watch],
        max_steps=8,
        weight_decay=0.1,
        learning_rate=1e-2,
        window_steps=8,
    )
    counts = [trainer.steps.plan(step).counts for step in range(8)]
    trainer.train()
    seen = set()
    for step, before, after in watch.steps:
        (task,) = [name for name, count in zip(tiny.TASKS, counts[step], strict=True) if count]
        seen.add(task)
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        heads = {name.split(".")[1] for name in changed if name.startswith("heads.")}
        assert any(name.startswith("encoder.") for name in changed)
        assert len(heads) == 1, (task, changed)
        assert task in next(iter(heads))
    assert len(seen) == 3, "every task had a step"


def test_adamax_trains_and_resumes(tmp_path: Path) -> None:
    options = {"optim": "adamax", "adam_beta1": 0.8, "save_strategy": "steps", "save_steps": 2}
    trainer = make(tmp_path, **options)
    trainer.train()
    optimizer = trainer.optimizer.optimizer
    assert type(optimizer) is torch.optim.Adamax
    assert optimizer.param_groups[0]["betas"] == (0.8, 0.999)
    resumed = make(tmp_path, **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert same(parameters(resumed), parameters(trainer))


# ---- Best model and early stopping ----

LESS_IS_BETTER = ("loss", "topic_loss", "score_rmse", "eval_score_mae_y")
MORE_IS_BETTER = ("average", "macro", "worst", "eval_average", "topic_f1_macro", "score_pearson_x")
WRONG_WAY = pytest.mark.xfail(strict=True, reason="greater_is_better follows the name's ending, not the metric")
METRICS = [pytest.param(name, marks=WRONG_WAY if "mse" in name or "mae" in name else ()) for name in LESS_IS_BETTER]


def with_rmse() -> MultiTaskModel:
    metrics = ["pearson", "rmse", "mae"]
    return tiny.model(tasks={**tiny.TASKS, "score": Regression(label=["x", "y"], metrics=metrics)})


@pytest.mark.parametrize("metric", [*MORE_IS_BETTER, *METRICS])
def test_the_best_model_is_loaded_at_the_end(tmp_path: Path, metric: str) -> None:
    trainer = make(
        tmp_path,
        model=with_rmse(),
        max_steps=5,
        learning_rate=2e-2,
        eval_strategy="steps",
        eval_steps=1,
        save_strategy="steps",
        save_steps=1,
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model=metric,
    )
    trainer.train()
    key = f"eval_{metric.removeprefix('eval_')}"
    values = records(trainer, key)
    assert len(set(values)) > 1, "training should change the scores"
    best = min(values) if metric in LESS_IS_BETTER else max(values)
    assert trainer.state.best_metric == best
    assert trainer.state.best_global_step == values.index(best) + 1
    assert trainer.evaluate()[key] == best


@pytest.mark.parametrize("metric", ["average", "macro", "worst", "mood_f1_macro", "score_loss"])
@pytest.mark.parametrize("save", ["no", "steps"])
def test_training_stops_when_nothing_gets_better(tmp_path: Path, metric: str, save: str) -> None:
    trainer = make(
        tmp_path,
        max_steps=9,
        learning_rate=0.0,
        eval_strategy="steps",
        eval_steps=1,
        save_strategy=save,
        save_steps=1,
        metric_for_best_model=metric,
        early_stopping_patience=2,
    )
    trainer.train()
    assert trainer.state.global_step == 3  # one evaluation sets the mark, two do not pass it
    state = trainer.stateful()["callbacks"].state_dict()
    counters = [attributes for name, attributes in state["callbacks"] if name == "EarlyStoppingCallback"]
    assert counters == [{"early_stopping_patience_counter": 2}]


def test_a_threshold_makes_small_gains_not_count(tmp_path: Path) -> None:
    options = {"eval_strategy": "steps", "eval_steps": 1, "metric_for_best_model": "loss", "max_steps": 6}
    trainer = make(tmp_path, early_stopping_patience=2, early_stopping_threshold=1e3, **options)
    trainer.train()
    assert trainer.state.global_step == 3


# ---- Evaluation and prediction ----


def by_hand(model: MultiTaskModel, task: str, texts: list[str]) -> np.ndarray:
    """The head's outputs for one text at a time."""
    model.eval()
    tokenizer = tiny.tokenizer()
    with torch.no_grad():
        rows = [model(**tokenizer(text, return_tensors="pt"), task=task).logits[task][0] for text in texts]
    return torch.stack(rows).numpy()


def test_predictions_are_in_dataset_order(tmp_path: Path) -> None:
    data = tiny.datasets({"topic": 23, "mood": 9, "score": 11}, seed=4)
    trainer = make(tmp_path, per_device_eval_batch_size=4)
    trainer.train()
    output = trainer.predict(data)
    assert list(output.predictions) == list(output.label_ids) == ["topic", "mood", "score"]
    for name, dataset in data.items():
        expected = by_hand(trainer.model, name, dataset["text"])
        np.testing.assert_allclose(output.predictions[name], expected, rtol=1e-4, atol=1e-5)
    assert output.label_ids["topic"].tolist() == list(data["topic"]["label"])
    assert output.label_ids["score"][:, 1].tolist() == list(data["score"]["y"])
    assert output.metrics["test_average"] == trainer.evaluate(data)["eval_average"]


def test_rows_without_labels_can_be_predicted(tmp_path: Path) -> None:
    data = tiny.datasets({"topic": 9, "mood": 6}, seed=4)
    trainer = make(tmp_path)
    labelled = trainer.predict(data)
    bare = trainer.predict({"topic": data["topic"].select_columns("text"), "mood": data["mood"]})
    np.testing.assert_array_equal(bare.predictions["topic"], labelled.predictions["topic"])
    assert list(bare.label_ids) == ["mood"]
    assert "test_mood_f1_macro" in bare.metrics
    assert not any(key.startswith("test_topic") for key in bare.metrics)


def test_nothing_labelled_gives_no_scores(tmp_path: Path) -> None:
    output = make(tmp_path).predict({"mood": tiny.rows("mood", 5).select_columns("text")})
    assert output.predictions["mood"].shape == (5, 2)
    assert output.label_ids == {}
    assert not [key for key in output.metrics if "mood" in key or "average" in key]


def test_own_metrics_join_those_of_each_task(tmp_path: Path) -> None:
    shapes = []

    def metrics(prediction: EvalPrediction) -> dict[str, float]:
        shapes.append((prediction.predictions.shape, prediction.label_ids.shape))
        return {"mine": float(len(shapes))}

    trainer = make(tmp_path, compute_metrics=metrics)
    scores = trainer.evaluate()
    assert shapes == [((30, 3), (30,)), ((12, 2), (12,)), ((18, 2), (18, 2))]
    assert [scores[f"eval_{name}_mine"] for name in tiny.TASKS] == [1.0, 2.0, 3.0]
    assert "eval_topic_f1_macro" in scores


def test_evaluation_while_training_equals_that_of_the_saved_model(tmp_path: Path) -> None:
    trainer = make(tmp_path, eval_strategy="steps", eval_steps=4, save_strategy="steps", save_steps=4)
    trainer.train()
    during = next(record for record in trainer.state.log_history if "eval_average" in record)
    loaded = MultiTaskModel.from_pretrained(tmp_path / "checkpoint-4")
    after = make(tmp_path / "again", model=loaded).evaluate()
    timeless = {k: v for k, v in after.items() if k != "epoch" and "runtime" not in k and "per_second" not in k}
    assert {key: during[key] for key in timeless} == timeless


def test_evaluation_does_not_depend_on_its_batches(tmp_path: Path) -> None:
    model = tiny.model()
    one, many = (make(tmp_path, model=model, per_device_eval_batch_size=size).evaluate() for size in (1, 64))
    for key in ("eval_average", "eval_topic_loss", "eval_score_pearson"):
        assert one[key] == pytest.approx(many[key], rel=1e-4)


# ---- Options of the Trainer ----


def test_workers_change_nothing(tmp_path: Path) -> None:
    runs = []
    for workers in (0, 2):
        model = tiny.model(dropout=0.1)
        trainer = make(tmp_path, model=model, dataloader_num_workers=workers, max_steps=6, window_steps=4)
        trainer.train()
        runs.append(trainer)
    assert same(parameters(runs[0]), parameters(runs[1]))
    assert records(runs[0], "loss") == records(runs[1], "loss")


def test_bf16_trains_and_evaluates_on_cpu(tmp_path: Path) -> None:
    options: dict[str, Any] = {"weighting": "uw", "max_steps": 2}
    trainer, exact = make(tmp_path, bf16=True, **options), make(tmp_path, **options)
    for run in (trainer, exact):
        run.train()
    assert {value.dtype for value in parameters(trainer).values()} == {torch.float32}
    losses, wanted = records(trainer, "loss"), records(exact, "loss")
    assert losses != wanted, "nothing was computed in bf16"
    assert losses == pytest.approx(wanted, rel=0.1)
    assert trainer.evaluate()["eval_loss"] == pytest.approx(exact.evaluate()["eval_loss"], rel=0.1)


@pytest.mark.parametrize("count", ["all", "non_padding", True])
def test_input_tokens_are_counted(tmp_path: Path, count: str | bool) -> None:
    trainer = make(tmp_path, include_num_input_tokens_seen=count, gradient_accumulation_steps=2, group_cost=8)
    trainer.train()
    plans = make(tmp_path, gradient_accumulation_steps=2)
    collator = plans.train_collator()
    real = 0
    for step in range(4):
        plan = plans.steps.plan(step)
        real += int(collator.lengths(plan.tasks, plan.rows).sum())
    seen = trainer.state.num_input_tokens_seen
    assert seen == real if count == "non_padding" else real < seen < 2 * real


def test_accumulation_and_gradient_checkpointing_work_together(tmp_path: Path) -> None:
    plain = make(tmp_path, per_device_train_batch_size=4, gradient_accumulation_steps=2)
    saving = make(tmp_path, per_device_train_batch_size=4, gradient_accumulation_steps=2, gradient_checkpointing=True)
    for run in (plain, saving):
        run.train()
    assert records(saving, "loss") == pytest.approx(records(plain, "loss"), rel=1e-5)


# ---- Tasks and data of all kinds ----


def first_loss(folder: Path, task: Task, dataset: Dataset, **options: Any) -> tuple[float, np.ndarray]:
    """The loss of a step that has every row of the task, and what the model predicts for them."""
    model = tiny.model(tasks={"only": task})
    size = len(dataset)
    trainer = make(
        folder,
        model=model,
        train={"only": dataset},
        evaluation={"only": dataset},
        per_device_train_batch_size=size,
        max_steps=1,
        learning_rate=0.0,
        **options,
    )
    trainer.train()
    (found,) = records(trainer, "loss/only")
    assert records(trainer, "loss") == [pytest.approx(found)]
    return found, trainer.predict({"only": dataset}).predictions["only"]


TOPICS = tiny.rows("topic", 40)
CLASSES: dict[str, Any] = {"labels": ["a", "b", "c"]}


def test_cross_entropy_with_class_weights_and_label_smoothing(tmp_path: Path) -> None:
    task = SequenceClassification(**CLASSES, class_weights={"a": 1.0, "b": 5.0, "c": 2.0}, label_smoothing=0.2)
    found, logits = first_loss(tmp_path, task, TOPICS)
    labels = torch.tensor(TOPICS["label"])
    weights = torch.tensor([1.0, 5.0, 2.0])
    weights /= weights[labels].mean()
    rows = functional.cross_entropy(torch.from_numpy(logits), labels, label_smoothing=0.2, reduction="none")
    # A row's weight is that of its own class, in the smoothed part too, where torch takes each class's own.
    assert found == pytest.approx(float((weights[labels] * rows).mean()), rel=1e-5)


def test_balanced_class_weights(tmp_path: Path) -> None:
    found, logits = first_loss(tmp_path, SequenceClassification(**CLASSES, class_weights="balanced"), TOPICS)
    labels = torch.tensor(TOPICS["label"])
    rows = functional.cross_entropy(torch.from_numpy(logits), labels, reduction="none")
    by_class = [float(rows[labels == label].mean()) for label in range(3)]
    assert found == pytest.approx(np.mean(by_class), rel=1e-5)


def test_focal_loss(tmp_path: Path) -> None:
    found, logits = first_loss(tmp_path, SequenceClassification(**CLASSES, loss="focal"), TOPICS)
    right = torch.softmax(torch.from_numpy(logits), dim=1)[range(40), TOPICS["label"]]
    assert found == pytest.approx(float((-((1 - right) ** 2) * right.log()).mean()), rel=1e-5)


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
@pytest.mark.parametrize("standardize", [True, False])
def test_regression_losses(tmp_path: Path, loss: Any, standardize: bool) -> None:
    dataset = tiny.rows("score", 40)
    task = Regression(label=["x", "y"], loss=loss, standardize=standardize)
    found, predictions = first_loss(tmp_path, task, dataset)
    targets = np.stack([dataset["x"], dataset["y"]], axis=1)
    scale = targets.std(axis=0) if standardize else 1.0
    difference = torch.from_numpy((predictions - targets) / scale)
    functions = {"mse": difference**2, "mae": difference.abs()}
    functions["huber"] = functional.huber_loss(difference, torch.zeros_like(difference), reduction="none")
    assert found == pytest.approx(float(functions[loss].mean()), rel=1e-4)


def test_a_pair_of_texts_has_token_types(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    texts = [[" ".join(random.choice(tiny.WORDS, 4)) for _ in range(16)] for _ in range(2)]
    pairs = Dataset.from_dict({"premise": texts[0], "hypothesis": texts[1], "label": [i % 2 for i in range(16)]})
    tasks: dict[str, Task] = {
        "pair": SequenceClassification(text=["premise", "hypothesis"], labels=["no", "yes"]),
        "mood": tiny.TASKS["mood"],
    }
    data = {"pair": pairs, "mood": tiny.rows("mood", 16)}
    trainer = make(tmp_path, model=tiny.model(tasks=tasks), train=data, evaluation=data)
    trainer.train()
    found = trainer.predict({"pair": pairs}).predictions["pair"]
    encoded = tiny.tokenizer()(*texts, return_tensors="pt")
    assert encoded["token_type_ids"].max() == 1
    trainer.model.eval()
    with torch.no_grad():
        expected = trainer.model(**encoded, task="pair").logits["pair"].numpy()
        without = trainer.model(encoded["input_ids"], encoded["attention_mask"], task="pair").logits["pair"].numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert abs(found - without).max() > 1e-3


def test_tasks_may_have_very_different_sizes(tmp_path: Path) -> None:
    data = {"topic": tiny.rows("topic", 60), "mood": tiny.rows("mood", 2), "score": tiny.rows("score", 1)}
    trainer = make(tmp_path, train=data, evaluation=tiny.datasets(SMALL, seed=1), max_steps=-1, num_train_epochs=2)
    trainer.train()
    assert trainer.state.global_step == 16  # ceil(63 / 8) twice
    assert np.isfinite(records(trainer, "loss")).all()
    assert np.isfinite(trainer.evaluate()["eval_loss"])


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("weighting", ["ew", "uw"])
def test_a_step_may_have_fewer_rows_than_tasks(tmp_path: Path, rows: int, weighting: str) -> None:
    trainer = make(tmp_path, per_device_train_batch_size=rows, max_steps=12, weighting=weighting)
    trainer.train()
    assert np.isfinite(records(trainer, "loss")).all()
    for name in tiny.TASKS:
        assert 0 < len(records(trainer, f"loss/{name}")) < 12, "absent from some steps"
    assert sum(records(trainer, f"passes/{name}")[-1] * SMALL[name] for name in SMALL) == pytest.approx(12 * rows)


def test_a_plain_dataset_is_enough_for_one_task(tmp_path: Path) -> None:
    model = tiny.model(tasks={"mood": tiny.TASKS["mood"]})
    trainer = make(tmp_path, model=model, train=tiny.rows("mood", 12), evaluation=tiny.rows("mood", 8, seed=1))
    trainer.train()
    assert "eval_mood_f1_macro" in trainer.evaluate()


# ---- Resuming ----


@pytest.mark.parametrize("last", [3, 5])
def test_a_run_resumed_at_its_last_step_takes_no_other(tmp_path: Path, last: int) -> None:
    # An epoch is 8 steps: both ends lie within it.
    options: dict[str, Any] = {"max_steps": last, "save_strategy": "steps", "save_steps": last}
    trainer = make(tmp_path, **options)
    trainer.train()
    resumed = make(tmp_path, model=tiny.model(seed=8), **options)
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.global_step == last
    assert same(parameters(resumed), parameters(trainer))
    assert resumed.evaluate()["eval_average"] == trainer.evaluate()["eval_average"]


def test_a_run_resumed_after_it_stopped_early_stays_stopped(tmp_path: Path) -> None:
    options = {
        "max_steps": 9,
        "learning_rate": 0.0,
        "eval_strategy": "steps",
        "eval_steps": 1,
        "save_strategy": "steps",
        "save_steps": 1,
        "metric_for_best_model": "average",
        "early_stopping_patience": 2,
    }
    make(tmp_path, **options).train()
    resumed = make(tmp_path, **options)
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.global_step == 3


def test_a_damaged_checkpoint_given_by_path_is_refused(tmp_path: Path) -> None:
    make(tmp_path, save_strategy="steps", save_steps=2).train()
    damaged = tmp_path / "checkpoint-4" / "optimizer.pt"
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    trainer = make(tmp_path)
    before = parameters(trainer)
    with pytest.raises(CheckpointError, match=r"checkpoint-4/optimizer\.pt: damaged"):
        trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
    assert same(parameters(trainer), before)


def test_another_seed_or_other_tasks_are_refused_with_what_differs(tmp_path: Path) -> None:
    make(tmp_path, save_strategy="steps", save_steps=2).train()
    with pytest.raises(CheckpointError, match="seed is 7, the checkpoint has 42"):
        make(tmp_path, seed=7).train(resume_from_checkpoint=True)
    fewer = {name: tiny.TASKS[name] for name in ("topic", "mood")}
    data = tiny.datasets({"topic": 30, "mood": 12})
    trainer = make(tmp_path, model=tiny.model(tasks=fewer), train=data, evaluation=data)
    with pytest.raises(CheckpointError, match="tasks is .*, the checkpoint has .*'score': 18"):
        trainer.train(resume_from_checkpoint=True)


@pytest.mark.xfail(strict=True, raises=RuntimeError, reason="Objective.load_state_dict hands torch's error on")
def test_another_weighting_is_refused(tmp_path: Path) -> None:
    make(tmp_path, weighting="uw", save_strategy="steps", save_steps=2).train()
    with pytest.raises(CheckpointError, match="weighting"):
        make(tmp_path, weighting="ew").train(resume_from_checkpoint=True)
