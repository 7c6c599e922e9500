"""What users of `transformers.Trainer` expect: every public method and argument works, or says what to do instead."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Trainer, TrainerCallback

from hf_mtl import MultiTaskTrainer, MultiTaskTrainingArguments
from hf_mtl.errors import HfMtlError, UserError
from tests import tiny

ROWS = tiny.datasets({"topic": 24, "mood": 16, "score": 16})
# Called by the Trainer in training, or by launchers; used through `train`, `evaluate`, `predict` and `push_to_hub`.
INNER = {
    "autocast_smart_context_manager",
    "call_model_init",
    "compute_loss",
    "compute_loss_context_manager",
    "create_accelerator_and_postprocess",
    "end",
    "get_batch_samples",
    "get_cp_size",
    "get_sp_size",
    "get_tp_size",
    "loss_is_scaled_for_ga",
    "set_initial_training_values",
    "store_flos",
    "train",
    "training_step",
}
# Tested where they are: over a stub of the Hub, and in test_search.py.
ELSEWHERE = {"push_to_hub", "init_hf_repo", "hyperparameter_search"}
WORKS: dict[str, Callable[[MultiTaskTrainer], Any]] = {
    "add_callback": lambda t: t.add_callback(TrainerCallback()) is None,
    "pop_callback": lambda t: t.pop_callback(TrainerCallback),
    "remove_callback": lambda t: t.remove_callback(TrainerCallback) is None,
    "create_model_card": lambda t: t.create_model_card() is None,
    "create_optimizer": lambda t: t.create_optimizer(),
    "create_optimizer_and_scheduler": lambda t: t.create_optimizer_and_scheduler(2) is None,
    "create_scheduler": lambda t: t.create_scheduler(2),
    "evaluate": lambda t: t.evaluate()["eval_average"] is not None,
    "floating_point_ops": lambda t: t.floating_point_ops({}) == 0,
    "get_decay_parameter_names": lambda t: t.get_decay_parameter_names(t.model),
    "get_learning_rates": lambda t: t.get_learning_rates(),
    "get_num_trainable_parameters": lambda t: t.get_num_trainable_parameters(),
    "get_optimizer_cls_and_kwargs": lambda t: t.get_optimizer_cls_and_kwargs(t.args),
    "get_optimizer_group": lambda t: t.get_optimizer_group(),
    "get_total_train_batch_size": lambda t: t.get_total_train_batch_size(t.args) == 8,
    "get_train_dataloader": lambda t: len(t.get_train_dataloader()),
    "is_local_process_zero": lambda t: t.is_local_process_zero(),
    "is_world_process_zero": lambda t: t.is_world_process_zero(),
    "log": lambda t: t.log({"a": 1.0}) is None,
    "log_metrics": lambda t: t.log_metrics("eval", {"a": 1.0}) is None,
    "metrics_format": lambda t: type(t).metrics_format({"a": 1.0}),
    "num_examples": lambda t: t.num_examples(t.get_train_dataloader()) == 56,
    "predict": lambda t: set(t.predict(ROWS).predictions) == set(ROWS),
    "save_metrics": lambda t: t.save_metrics("eval", {"a": 1.0}) is None,
    "save_model": lambda t: t.save_model() is None,
    "save_state": lambda t: t.save_state() is None,
}
REFUSED: dict[str, tuple[Callable[[MultiTaskTrainer], Any], str]] = {
    "get_eval_dataloader": (lambda t: t.get_eval_dataloader(), "Give the rows to evaluate"),
    "get_test_dataloader": (lambda t: t.get_test_dataloader(ROWS), "Give the rows to evaluate"),
    "evaluation_loop": (lambda t: t.evaluation_loop(None, "eval"), "Use compute_metrics"),
    "prediction_step": (lambda t: t.prediction_step(t.model, {}, True), "Use compute_metrics"),
}
ARGUMENTS = {
    "model": "works",
    "args": "works",
    "train_dataset": "works",
    "eval_dataset": "works",
    "processing_class": "works",
    "model_init": "works",
    "compute_metrics": "works",
    "callbacks": "works",
    "optimizers": "works",
    "optimizer_cls_and_kwargs": "works",
    "data_collator": "hf_mtl plans and collates its own batches",
    "compute_loss_func": "set `loss` on the task",
    "preprocess_logits_for_metrics": "use compute_metrics",
}


def make(folder: Path, **given: Any) -> MultiTaskTrainer:
    args = MultiTaskTrainingArguments(
        str(folder), max_steps=1, report_to="none", use_cpu=True, disable_tqdm=True, save_strategy="no"
    )
    usual = {"args": args, "train_dataset": ROWS, "eval_dataset": ROWS, "processing_class": tiny.tokenizer()}
    return MultiTaskTrainer(**{"model": tiny.model(), **usual, **given})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> MultiTaskTrainer:
    found = make(tmp_path_factory.mktemp("surface"))
    found.train()
    return found


def test_every_public_method_is_answered() -> None:
    """A method of a version of transformers that is none of these was looked at by nobody."""
    public = {name for name in dir(Trainer) if not name.startswith("_")}
    assert public - {*INNER, *ELSEWHERE, *WORKS, *REFUSED} == set()
    assert set(inspect.signature(Trainer.__init__).parameters) - {"self", "kwargs"} - set(ARGUMENTS) == set()


@pytest.mark.parametrize("name", sorted(WORKS))
def test_a_method_works(name: str, trained: MultiTaskTrainer) -> None:
    assert WORKS[name](trained)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_method_that_nothing_uses_says_what_to_do(name: str, trained: MultiTaskTrainer) -> None:
    call, remedy = REFUSED[name]
    with pytest.raises(UserError, match=rf"^{name}: is not used by MultiTaskTrainer\. {remedy}"):
        call(trained)


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_an_argument_works_or_says_what_to_do(name: str, tmp_path: Path) -> None:
    model = tiny.model()
    values: dict[str, Any] = {
        "model_init": tiny.model,
        "compute_metrics": lambda scored: {"own": 1.0},
        "callbacks": [TrainerCallback()],
        "optimizers": (torch.optim.SGD(model.parameters(), lr=0.1), None),
        "optimizer_cls_and_kwargs": (torch.optim.SGD, {"lr": 0.1}),
    }
    given: dict[str, Any] = {name: values.get(name, print)} if name in values or ARGUMENTS[name] != "works" else {}
    if ARGUMENTS[name] == "works":
        found = make(tmp_path, **{"model": None if name == "model_init" else model, **given})
        assert found.train().global_step == 1
        assert name != "compute_metrics" or found.evaluate()["eval_topic_own"] == 1.0
    else:
        with pytest.raises(HfMtlError, match=f"{name}: is not used by MultiTaskTrainer. {ARGUMENTS[name]}"):
            make(tmp_path, **given)
