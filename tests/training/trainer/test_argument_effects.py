"""Training arguments without effect, of which nothing can be built, and those that have their effect here."""

import gc
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerCallback

from hf_mtl import MultiTaskTrainingArguments
from hf_mtl.errors import UserError
from hf_mtl.training.trainer import stub_builds
from hf_mtl.training.trainer.argument_checks import check_training
from hf_mtl.training.trainer.task_checks import set_direction
from tests import tiny
from tests.training.trainers import make, parameters, records, same


def mistakes(folder: Path, **options: Any) -> list[str]:
    args = MultiTaskTrainingArguments(output_dir=str(folder), use_cpu=True, **options)
    return [str(mistake) for mistake in check_training(args)]


CHECKPOINTING = "activation_checkpointing"
if not hasattr(MultiTaskTrainingArguments, CHECKPOINTING):
    CHECKPOINTING = "gradient_checkpointing"

IDLE: list[tuple[dict[str, Any], str]] = [
    ({"lr_scheduler_type": "constant", "warmup_steps": 3}, "warmup_steps: is 3, and the schedule 'constant' has no"),
    (
        {"lr_scheduler_type": "constant_with_warmup", "lr_scheduler_kwargs": {"a": 1}},
        "lr_scheduler_kwargs: is {'a': 1}, and the schedule 'constant_with_warmup' takes none",
    ),
    ({"optim": "adamax", "optim_args": "eps=1"}, "optim_args: has 'eps=1', which 'adamax' does not take"),
    ({"optim": "sgd", "optim_args": "momentum=0.9,eps=1"}, "optim_args: has 'eps=1', which 'sgd' does not take"),
    ({"optim_target_modules": "all-linear"}, "optim_target_modules: is 'all-linear', and 'adamw_torch_fused' trains"),
    ({f"{CHECKPOINTING}_kwargs": {"use_reentrant": False}}, f"kwargs: are set, and {CHECKPOINTING} is off"),
    ({"early_stopping_threshold": 0.1}, "early_stopping_threshold: is 0.1, and nothing stops early"),
    ({"greater_is_better": True}, "greater_is_better: is set, and metric_for_best_model is not"),
]
UNBUILDABLE: list[tuple[dict[str, Any], str]] = [
    ({"optim": "lomo"}, "optim: is 'lomo'. It updates within a backward"),
    ({"optim": "sgd", "optim_args": "momentum=fast"}, "optim_args: 'sgd' cannot be built: could not convert"),
    ({"optim": "lion_32bit"}, "optim: 'lion_32bit' cannot be built: "),
    ({"adam_beta2": 1.5}, "optim: 'adamw_torch_fused' cannot be built: Invalid beta parameter"),
    ({"lr_scheduler_kwargs": {"a": 1}}, "lr_scheduler_kwargs: 'linear' cannot be built: .*unexpected keyword"),
    ({"lr_scheduler_type": "cosine_with_min_lr"}, "lr_scheduler_kwargs: 'cosine_with_min_lr' cannot be built: "),
    *(
        ({"lr_scheduler_type": schedule, "lr_scheduler_kwargs": options}, f"lr_scheduler_kwargs: {said}")
        for schedule, options, said in (
            ("cosine", {"num_cycles": "a"}, "'cosine' cannot be built: could not convert string to float"),
            ("cosine", {"num_cycles": float("nan")}, "num_cycles is nan"),
            ("inverse_sqrt", {"timescale": 0}, "'inverse_sqrt' cannot be built: division by zero"),
            ("cosine_with_min_lr", {"min_lr_rate": "x"}, "'cosine_with_min_lr' cannot be built: unsupported operand"),
            ("polynomial", {"lr_end": -1.0}, "'polynomial' gives the learning rate -0"),
        )
    ),
    ({"lr_scheduler_type": "polynomial", "learning_rate": 1e-8}, "lr_scheduler_kwargs: 'polynomial' cannot be built"),
    ({"report_to": "wandbb"}, "report_to: 'wandbb' cannot be used: wandbb is not supported"),
    ({"optim": "sgd", "optim_args": "momentum=nan"}, "optim_args: 'sgd' makes weights that are not finite where"),
    ({"adam_epsilon": 0.0}, "optim: 'adamw_torch_fused' makes weights that are not finite where a gradient is 0"),
    ({"optim": "galore_adamw"}, "optim_target_modules: is not set, and 'galore_adamw' needs it"),
    ({"optim": "galore_adamw", "optim_target_modules": "all"}, "optim: 'galore_adamw' cannot be built: .*install"),
    ({"torch_compile_backend": "foo"}, "torch_compile_backend: is 'foo': 'FOO' is not a valid DynamoBackend"),
    (
        {CHECKPOINTING: True, f"{CHECKPOINTING}_kwargs": {"every_n_layers": 2, "foo": 1}},
        "kwargs: unknown option 'foo'. Known: ",
    ),
    *(
        ({CHECKPOINTING: True, f"{CHECKPOINTING}_kwargs": options}, f"kwargs: {said}")
        for options, said in (
            ({"every_n_layers": 0}, "every_n_layers is 0. Allowed: at least 1"),
            ({"every_n_layers": "a"}, "every_n_layers is 'a'. Allowed: at least 1"),
            ({"use_reentrant": "yes"}, "use_reentrant is 'yes'. Allowed: true or false"),
            ({"offload": True}, "offload is on, and there is no accelerator"),
            ({"use_reentrant": True, "debug": True}, "cannot be used: Passing `context_fn` or `debug` is only"),
        )
    ),
    ({"include_num_input_tokens_seen": "some"}, "include_num_input_tokens_seen: unknown value 'some'. Known: all"),
    (
        {"dataloader_num_workers": 1, "dataloader_multiprocessing_context": "thread"},
        "dataloader_multiprocessing_context: unknown value 'thread'. Known: fork",
    ),
    ({"log_level": "loud"}, "log_level: unknown value 'loud'. Known: "),
]
OUT_OF_RANGE: list[tuple[dict[str, Any], str]] = [
    ({"max_steps": 0}, "max_steps: is 0. Allowed: at least 1; leave it out to train for num_train_epochs"),
    ({"seed": -1}, "seed: is -1. Allowed: 0 to 4294967295"),
    ({"data_seed": -1}, "data_seed: is -1. Allowed: 0 to 4294967295"),
    ({"data_seed": 2**40}, "data_seed: is 1099511627776. Allowed: 0 to 4294967295"),
    ({"warmup_steps": 1.5}, "warmup_steps: is 1.5. Allowed: a whole number of steps, or below 1 a share of the run"),
    ({"ddp_timeout": -1}, "ddp_timeout: is -1. Allowed: at least 1"),
    ({"ddp_bucket_cap_mb": 0}, "ddp_bucket_cap_mb: is 0. Allowed: at least 1"),
    ({"save_total_limit": 0}, "save_total_limit: is 0. Allowed: at least 1"),
    ({"max_grad_norm": -1.0}, "max_grad_norm: is -1.0. Allowed: 0 or more"),
    ({"save_steps": 0}, "save_steps: is 0. Allowed: more than 0"),
    ({"dataloader_num_workers": -1}, "dataloader_num_workers: is -1. Allowed: 0 or more"),
]


@pytest.mark.parametrize(("options", "said"), [*IDLE, *UNBUILDABLE, *OUT_OF_RANGE])
def test_an_argument_that_does_nothing_or_cannot_work_is_refused(
    tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    [found] = mistakes(tmp_path, **options)
    pattern = said if (options, said) in UNBUILDABLE else re.escape(said)
    assert re.search(rf"^training\.({CHECKPOINTING}_)?{pattern}", found)


def test_every_program_that_cannot_be_reported_to_is_named(tmp_path: Path) -> None:
    found = mistakes(tmp_path, report_to=["wandbb", "tensorboardd"])
    assert [text.split(" cannot")[0] for text in found] == [
        "training.report_to: 'wandbb'",
        "training.report_to: 'tensorboardd'",
    ]


COMPILATION: list[tuple[dict[str, Any], str]] = [
    ({"torch_compile_mode": "fast"}, "mode: unknown mode 'fast'. Known: default"),
    ({"torch_compile_backend": "eager", "torch_compile_mode": "default"}, "mode: is 'default', and 'eager' has none"),
    (
        {"torch_compile_backend": "nvprims_nvfuser"},
        "backend: 'nvprims_nvfuser' compiles nothing here: Invalid backend",
    ),
]


def test_a_compilation_that_would_fail_at_the_first_step_is_refused(tmp_path: Path) -> None:
    for options, said in COMPILATION:
        [found] = mistakes(tmp_path, **options)
        assert found.startswith(f"training.torch_compile_{said}"), found


def test_arguments_that_work_are_taken(tmp_path: Path) -> None:
    schedule = {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr": 1e-5}}
    assert mistakes(tmp_path, optim="sgd", optim_args="momentum=0.9", warmup_steps=0.1, **schedule) == []
    assert mistakes(tmp_path, optim="adamax", report_to="none", log_level="error", logging_strategy="no") == []


@pytest.mark.parametrize("metric", ["average", "eval_worst", "topic_f1_macro"])
def test_a_direction_that_contradicts_the_score_is_refused(tmp_path: Path, metric: str) -> None:
    options = {"metric_for_best_model": metric, "greater_is_better": False}
    args = MultiTaskTrainingArguments(output_dir=str(tmp_path), use_cpu=True, **options)
    with pytest.raises(UserError, match=r"training\.greater_is_better: is false, and more of '.*' is better\."):
        set_direction(args, tiny.TASKS)


# ---- Arguments that have their effect ----


def test_noise_on_the_embeddings_changes_the_losses(tmp_path: Path) -> None:
    plain, noisy = (make(tmp_path, max_steps=2, neftune_noise_alpha=alpha) for alpha in (None, 5.0))
    for trainer in (plain, noisy):
        trainer.train()
    assert records(plain, "loss") != records(noisy, "loss")


def test_evaluation_on_start_comes_before_the_first_step(tmp_path: Path) -> None:
    trainer = make(tmp_path, max_steps=1, eval_on_start=True)
    trainer.train()
    steps = [record["step"] for record in trainer.state.log_history if "eval_average" in record]
    assert steps == [0]


@pytest.mark.parametrize("schedule", ["reduce_lr_on_plateau", "greedy"])
def test_a_schedule_that_follows_the_validation_loss_moves(tmp_path: Path, schedule: str) -> None:
    trainer = make(
        tmp_path,
        lr_scheduler_type=schedule,
        lr_scheduler_kwargs={"patience": 0, "factor": 0.5},
        eval_strategy="steps",
        eval_steps=1,
        learning_rate=0.5,
        max_steps=6,
    )
    trainer.train()
    assert min(records(trainer, "learning_rate")) < 0.5


def test_training_resumes_from_the_checkpoint_in_the_arguments(tmp_path: Path) -> None:
    whole = make(tmp_path / "whole", save_strategy="steps", save_steps=2)
    whole.train()
    resumed = make(tmp_path / "resumed", resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-2"))
    resumed.train()
    assert len(records(resumed, "loss")) == len(records(whole, "loss"))
    assert same(parameters(whole), parameters(resumed))


class ScheduleFree(torch.optim.SGD):
    """Like the optimizers of `schedulefree`, has a mode to train and one to score."""

    mode = "none"

    def train(self) -> None:
        self.mode = "train"

    def eval(self) -> None:
        self.mode = "eval"


def test_an_optimizer_with_two_modes_is_told_which(tmp_path: Path) -> None:
    trainer = make(tmp_path, max_steps=1)
    optimizer = ScheduleFree(trainer.model.parameters(), lr=0.1)
    trainer = make(tmp_path, model=trainer.model, max_steps=1)
    trainer.optimizer = optimizer
    trainer.train()
    assert optimizer.mode == "train"
    trainer.evaluate()
    assert optimizer.mode == "eval"


def test_gradient_checkpointing_is_refused_where_the_encoder_has_none(tmp_path: Path) -> None:
    model = tiny.model(config={"model_type": "squeezebert", "embedding_size": 16}, head="linear")
    said = f"training.{CHECKPOINTING}: is on, and 'squeezebert' has none in transformers"
    with pytest.raises(UserError, match=said):
        make(tmp_path, model=model, **{CHECKPOINTING: True})
    make(tmp_path, model=model)
    with pytest.raises(ValueError, match="does not support (gradient|activation) checkpointing"):
        model.gradient_checkpointing_enable()


def test_a_report_that_is_half_built_leaves_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Report(TrainerCallback):
        def __init__(self) -> None:
            raise RuntimeError("needs a package")

        def __del__(self) -> None:
            print("ended")

    monkeypatch.setattr(stub_builds, "get_reporting_integration_callbacks", lambda names: [Report])
    [found] = mistakes(tmp_path, report_to=["report"])
    gc.collect()
    assert found == "training.report_to: 'report' cannot be used: needs a package."
    assert capsys.readouterr().out == ""
