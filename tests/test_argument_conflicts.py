"""Training arguments that do not go together: the same words in a recipe and in Python, all of them at once."""

from collections.abc import Callable
from typing import Any

import pytest

from hf_mtl.argument_conflicts import conflicts, word
from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.errors import RecipeError, UserError
from hf_mtl.recipe import load_recipe
from tests.recipe.conftest import write
from tests.recipe.texts import MINIMAL

__all__ = ["write"]

BEST = {"load_best_model_at_end": True}
CASES: list[tuple[dict[str, Any], str]] = [
    (BEST, "load_best_model_at_end: is on, with eval_strategy: no and save_strategy: steps. Set both to epoch"),
    (
        {**BEST, "eval_strategy": "steps", "save_strategy": "epoch"},
        "load_best_model_at_end: is on, with eval_strategy: steps and save_strategy: epoch",
    ),
    (
        {**BEST, "eval_strategy": "steps", "eval_steps": 20, "save_steps": 30},
        "save_steps: is 30, and not a multiple of eval_steps, 20. The best model is to be loaded",
    ),
    (
        {**BEST, "eval_strategy": "steps", "eval_steps": 0.1, "save_steps": 30},
        "save_steps: is 30, and not a multiple of eval_steps, 0.1",
    ),
    ({"fp16": True, "bf16": True}, "fp16: is on, and so is bf16. Keep one of them"),
    ({"fp16_full_eval": True, "bf16_full_eval": True}, "fp16_full_eval: is on, and so is bf16_full_eval"),
    ({"lr_scheduler_type": "reduce_lr_on_plateau"}, "lr_scheduler_type: 'reduce_lr_on_plateau' follows validation"),
    ({"save_steps": 1.5}, "save_steps: is 1.5. Allowed: a whole number, or below 1 a share of the run"),
    ({"dataloader_prefetch_factor": 2}, "dataloader_prefetch_factor: is 2, and there are no workers"),
    (
        {"tokens_per_micro_batch": 64, "gradient_accumulation_steps": 2},
        "tokens_per_micro_batch: decides how many micro-batches a step has; gradient_accumulation_steps is 2. Leave",
    ),
    (
        {"tokens_per_micro_batch": 64, "max_backward_passes": 20},
        "tokens_per_micro_batch: gives each step as many micro-batches as it needs, so that max_backward_passes sets",
    ),
]


@pytest.mark.parametrize(("options", "said"), CASES)
def test_a_conflict_is_refused_in_both_doors(
    write: Callable[..., str], tmp_path: Any, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError) as in_python:
        MultiTaskTrainingArguments(output_dir=str(tmp_path), use_cpu=True, **options)
    overrides = [f"training.{key}={str(value).lower()}" for key, value in options.items()]
    with pytest.raises(RecipeError) as in_a_recipe:
        load_recipe(write(MINIMAL), overrides)
    [mistake], [located] = in_python.value.mistakes, in_a_recipe.value.mistakes
    assert str(mistake).startswith(f"training.{said}")
    assert (located.key, located.problem, located.remedy) == (mistake.key, mistake.problem, mistake.remedy)
    assert "Strategy." not in str(mistake)


def test_deepspeed_wants_as_many_micro_batches_in_every_step() -> None:
    values = vars(MultiTaskTrainingArguments(use_cpu=True, tokens_per_micro_batch=64))
    assert conflicts(values) == []
    (mistake,) = conflicts({**values, "deepspeed": "zero.json"})
    assert str(mistake).startswith("training.tokens_per_micro_batch: is set, and DeepSpeed")


def test_conflicts_come_together_and_with_other_mistakes(write: Callable[..., str]) -> None:
    overrides = ["training.fp16=true", "training.bf16=true", "training.load_best_model_at_end=true", "model.heat=1"]
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(MINIMAL), overrides)
    assert [mistake.key.partition(".")[2] for mistake in caught.value.mistakes] == [
        "heat",
        "load_best_model_at_end",
        "fp16",
    ]


@pytest.mark.parametrize(
    "options",
    [
        {**BEST, "eval_strategy": "epoch", "save_strategy": "epoch"},
        {**BEST, "eval_strategy": "steps", "eval_steps": 0.1, "save_steps": 0.3},
        {**BEST, "eval_strategy": "steps", "eval_steps": 10, "save_steps": 30},
        {**BEST, "eval_strategy": "steps", "save_strategy": "best"},
        {**BEST, "eval_strategy": "steps", "logging_steps": 250},
        {"fp16": True, "bf16_full_eval": True},
        {"dataloader_prefetch_factor": 2, "dataloader_num_workers": 1},
        {"logging_steps": 0.5, "eval_steps": 1.5},
    ],
)
def test_what_goes_together_is_taken(write: Callable[..., str], tmp_path: Any, options: dict[str, Any]) -> None:
    MultiTaskTrainingArguments(output_dir=str(tmp_path), use_cpu=True, **options)
    load_recipe(write(MINIMAL), [f"training.{key}={str(value).lower()}" for key, value in options.items()])


def test_a_choice_is_shown_as_a_recipe_writes_it(tmp_path: Any) -> None:
    args = MultiTaskTrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    assert [word(args.eval_strategy), word("epoch")] == ["no", "epoch"]
