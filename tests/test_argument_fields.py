"""Every field of TrainingArguments is honoured, refused or irrelevant, in recipes and in Python alike."""

import dataclasses
import inspect
import json
from collections.abc import Callable
from typing import Any

import pytest
from accelerate.parallelism_config import ParallelismConfig
from transformers import TrainingArguments

from hf_mtl.argument_fields import FORMER, HONOURED, IRRELEVANT, REFUSED, refused_fields
from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.errors import RecipeError, UserError
from hf_mtl.recipe import load_recipe
from hf_mtl.training.trainer.argument_checks import check_arguments
from tests import tiny
from tests.recipe.conftest import write
from tests.recipe.texts import MINIMAL

__all__ = ["write"]

MODEL = tiny.model()
# Fields of the arguments of 4.36 and 4.57, also of sequence-to-sequence training, that 5.17 and 5.23 do not have.
_OF_TRANSFORMERS_4 = """
    adafactor dispatch_batches evaluation_strategy fp16_backend fp16_opt_level fsdp_min_num_params
    fsdp_transformer_layer_cls_to_wrap group_by_length half_precision_backend include_inputs_for_metrics
    include_tokens_per_second jit_mode_eval logging_dir mp_parameters no_cuda overwrite_output_dir past_index
    per_gpu_eval_batch_size per_gpu_train_batch_size push_to_hub_model_id push_to_hub_organization push_to_hub_token
    ray_scope save_safetensors split_batches torchdynamo tpu_metrics_debug tpu_num_cores use_ipex
    use_legacy_prediction_loop use_mps_device warmup_ratio
    generation_config generation_max_length generation_num_beams predict_with_generate sortish_sampler
"""
FIELDS = {field.name: field for field in dataclasses.fields(TrainingArguments)}

# A value of each refused field that is not its default.
ASKED: dict[str, Any] = {
    "auto_find_batch_size": True,
    "average_tokens_across_devices": False,
    "batch_eval_metrics": True,
    "dataloader_drop_last": True,
    "dataloader_in_order": False,
    "ddp_static_graph": True,
    "debug": "underflow_overflow",
    "eval_do_concat_batches": False,
    "eval_use_gather_object": True,
    "ignore_data_skip": True,
    "include_for_metrics": ["inputs"],
    "label_names": ["label"],
    "label_smoothing_factor": 0.1,
    "length_column_name": "size",
    "liger_kernel_config": {"rope": True},
    "parallelism_config": ParallelismConfig(),
    "prediction_loss_only": True,
    "train_sampling_strategy": "sequential",
    "use_cache": True,
    "use_liger_kernel": True,
}


def test_every_field_is_in_exactly_one_list() -> None:
    lists = [HONOURED, frozenset(IRRELEVANT), frozenset(REFUSED)]
    assert sum(map(len, lists)) == len(frozenset().union(*lists))
    assert set(FIELDS) - frozenset().union(*lists) == set()
    assert set(ASKED) == set(REFUSED)


def test_defaults_are_not_refused(tmp_path: Any) -> None:
    assert list(refused_fields({})) == []
    assert list(refused_fields(vars(MultiTaskTrainingArguments(output_dir=str(tmp_path), use_cpu=True)))) == []


def _give(folder: Any, asked: dict[str, Any]) -> None:
    """To the arguments, and those to a Trainer."""
    check_arguments(MODEL, MultiTaskTrainingArguments(output_dir=str(folder), use_cpu=True, **asked), {})


@pytest.mark.parametrize("name", [name for name in REFUSED if name in FIELDS])
def test_a_refused_field_is_refused_in_python(tmp_path: Any, name: str) -> None:
    with pytest.raises(UserError) as caught:
        _give(tmp_path, {name: ASKED[name]})
    [mistake] = caught.value.mistakes
    assert (mistake.key, mistake.remedy) == (f"training.{name}", REFUSED[name])
    assert mistake.problem.startswith("is ")
    assert "Option." not in mistake.problem


def test_refused_fields_are_refused_in_a_recipe_all_at_once(write: Callable[..., str]) -> None:
    given = {name: ASKED[name] for name in ASKED if name in FIELDS and name != "parallelism_config"}
    overrides = [f"training.{name}={_as_yaml(value)}" for name, value in given.items()]
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(MINIMAL), [*overrides, "training.parallelism_config={tp_size: 2}"])
    said = {mistake.key: mistake for mistake in caught.value.mistakes}
    assert said.keys() == {f"training.{name}" for name in REFUSED if name in FIELDS}
    for key, mistake in said.items():
        assert (mistake.where, mistake.remedy) == ("command line", REFUSED[key.removeprefix("training.")])


def _as_yaml(value: object) -> str:
    return json.dumps(value) if isinstance(value, dict) else str(value).lower()


@pytest.mark.parametrize(
    ("override", "remedy"),
    [
        ("resume_from_checkpoint=/nowhere/checkpoint-2", "`hf-mtl train --resume` continues the run in output_dir"),
        ("do_train=false", "`hf-mtl train` trains"),
        ("do_eval=true", "`hf-mtl evaluate` scores a run"),
        ("do_predict=true", "`hf-mtl train --test` scores the test splits too"),
        ("local_rank=0", "`accelerate launch` says it"),
    ],
)
def test_what_the_command_line_says_is_refused_in_a_recipe(
    write: Callable[..., str], override: str, remedy: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(MINIMAL), [f"training.{override}"])
    [mistake] = caught.value.mistakes
    assert mistake.key == "training." + override.partition("=")[0]
    assert mistake.remedy.startswith(remedy)


def test_values_that_change_nothing_are_not_refused(tmp_path: Any) -> None:
    harmless: dict[str, Any] = {"eval_accumulation_steps": 10, "label_names": ["labels"]}
    check_arguments(MODEL, MultiTaskTrainingArguments(output_dir=str(tmp_path), use_cpu=True, **harmless), {})


def test_what_a_script_says_to_itself_is_left_to_it_in_python(tmp_path: Any) -> None:
    args = MultiTaskTrainingArguments(output_dir=str(tmp_path), use_cpu=True, do_train=True, do_predict=True)
    check_arguments(MODEL, args, {})


@pytest.mark.parametrize("name", sorted(FORMER))
def test_a_former_key_is_unknown_and_its_successor_named(write: Callable[..., str], name: str) -> None:
    assert name not in FIELDS
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(MINIMAL), [f"training.{name}=1"])
    [mistake] = caught.value.mistakes
    assert (mistake.problem, mistake.remedy) == (f"unknown key '{name}'", f"{FORMER[name]}.")


def test_a_former_argument_is_unknown_in_python_too_and_all_of_them_are_said(tmp_path: Any) -> None:
    with pytest.raises(UserError) as caught:
        MultiTaskTrainingArguments(output_dir=str(tmp_path), group_by_length=True, no_cuda=True, learning_rat=1.0)
    assert [str(mistake) for mistake in caught.value.mistakes[:2]] == [
        "training.group_by_length: unknown argument 'group_by_length'. "
        "encoder_layout: auto leaves out padding without it",
        "training.no_cuda: unknown argument 'no_cuda'. Set use_cpu: true",
    ]
    assert str(caught.value.mistakes[2]).endswith("Did you mean 'learning_rate'?")


def test_no_spelling_is_offered_that_would_be_refused_next(write: Callable[..., Any], tmp_path: Any) -> None:
    said = {
        "length_grouping": "length_column_name is refused: Lengths are those of the token ids; leave it out",
        "label_smoothing": "label_smoothing_factor is refused: Set label_smoothing on the tasks that want it",
    }
    of_recipes = {**said, "label_smoothing": "Set it in each task: tasks.NAME.label_smoothing"}
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(MINIMAL), [f"training.{name}=1" for name in said])
    assert [mistake.remedy for mistake in caught.value.mistakes] == [f"{remedy}." for remedy in of_recipes.values()]
    with pytest.raises(UserError) as caught_too:
        MultiTaskTrainingArguments(output_dir=str(tmp_path), **dict.fromkeys(said, True))
    assert [mistake.remedy for mistake in caught_too.value.mistakes] == list(said.values())


def test_the_arguments_keep_their_signature() -> None:
    parameters = inspect.signature(MultiTaskTrainingArguments).parameters
    assert next(iter(parameters)) == "output_dir"
    assert {"window_steps", *FIELDS} <= {*parameters, "_n_gpu"}


def test_every_argument_that_transformers_4_had_beside_those_of_5_has_its_hint() -> None:
    assert set(_OF_TRANSFORMERS_4.split()) <= set(FORMER)


ACCELERATOR = [
    ({"split_batches": True}, "split_batches"),
    ({"dispatch_batches": True}, "dispatch_batches"),
    ({"even_batches": False}, "even_batches"),
    ({"use_seedable_sampler": False}, "use_seedable_sampler"),
    ({"non_blocking": True}, "non_blocking"),
    ({"gradient_accumulation_kwargs": {"num_steps": 2}}, "gradient_accumulation_kwargs.num_steps"),
]


@pytest.mark.parametrize(("config", "key"), ACCELERATOR)
def test_options_of_loaders_that_accelerate_does_not_wrap_are_refused(
    tmp_path: Any, config: dict[str, Any], key: str
) -> None:
    assert [mistake.key for mistake in refused_fields({"accelerator_config": config})] == [
        f"training.accelerator_config.{key}"
    ]
    args = MultiTaskTrainingArguments(output_dir=str(tmp_path), use_cpu=True, accelerator_config=config)
    with pytest.raises(UserError, match=rf"training\.accelerator_config\.{key}: is "):
        check_arguments(MODEL, args, {})


def test_other_options_of_accelerate_are_taken(tmp_path: Any) -> None:
    config = {"dispatch_batches": False, "gradient_accumulation_kwargs": {"sync_each_batch": True}}
    args = MultiTaskTrainingArguments(output_dir=str(tmp_path), use_cpu=True, accelerator_config=config)
    check_arguments(MODEL, args, {})


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"odd": 1}, ".odd: unknown option 'odd'. Known: dispatch_batches, "),
        ([1], ": is [1]. Allowed: a mapping of options, or a JSON file"),
        ({"gradient_accumulation_kwargs": 3}, ".gradient_accumulation_kwargs: is 3. Allowed: a mapping of options"),
        ({"gradient_accumulation_kwargs": {"odd": 1}}, ".gradient_accumulation_kwargs.odd: unknown option 'odd'"),
    ],
)
def test_what_accelerate_has_no_option_for_is_named(config: Any, said: str) -> None:
    [mistake] = refused_fields({"accelerator_config": config})
    assert str(mistake).startswith(f"training.accelerator_config{said}")


@pytest.mark.parametrize(
    "config",
    [None, "a.json", {"use_configured_state": False, "gradient_accumulation_kwargs": {"sync_each_batch": True}}],
)
def test_what_accelerate_takes_is_taken(config: Any) -> None:
    assert list(refused_fields({"accelerator_config": config})) == []
