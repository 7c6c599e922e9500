"""Every argument must stay in a resumed run, or may change; nothing is forgotten."""

import dataclasses
from typing import Any

import pytest

from hf_mtl.argument_fields import IRRELEVANT, REFUSED
from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.training.trainer.run_terms import ALLOWED, EVALUATION, MAY_CHANGE, ROWS, STAYS, changed, plain, staying

FIELDS = {field.name: field for field in dataclasses.fields(MultiTaskTrainingArguments) if field.name[0] != "_"}


def test_every_field_that_does_anything_is_in_exactly_one_list() -> None:
    lists = [STAYS, frozenset(MAY_CHANGE), frozenset(ROWS)]
    without = set(IRRELEVANT) | set(REFUSED)  # of these, no value makes a difference
    assert set(FIELDS) - without - frozenset().union(*lists) == set()
    assert sum(map(len, lists)) == len(frozenset().union(*lists))


def test_what_must_stay_is_compared_and_what_may_change_is_not() -> None:
    for name in FIELDS:
        before, after = (staying({name: value}, follows_evaluations=False) for value in (1, 2))
        differs = [key for key, _, _ in changed(before, after)]
        assert differs == ([name] if name in STAYS else []), name
    for name in EVALUATION:
        assert staying({name: "steps"}, True) != staying({name: "epoch"}, True)


@pytest.mark.parametrize(
    "given",
    [
        {"data_seed": 42},
        {"adam_beta1": 0.9},
        {"learning_rate": 5e-5},
        {"optim_args": None},
        {"optim_args": ""},
        {"lr_scheduler_kwargs": {}},
    ],
)
def test_a_default_that_is_written_is_no_change(given: dict[str, Any]) -> None:
    assert staying(given, False) == staying({}, False)


def test_arguments_of_python_and_of_a_recipe_compare_alike(tmp_path: Any) -> None:
    options = {"lr_scheduler_type": "cosine", "optim": "adamw_torch", "lr_scheduler_kwargs": {"num_cycles": 0.25}}
    args = MultiTaskTrainingArguments(output_dir=str(tmp_path), use_cpu=True, **options)
    assert staying(vars(args), False) == staying(options, False)


def test_values_are_plain_and_the_message_names_what_may_change() -> None:
    assert plain({"b": (1, 2.5), "a": None}) == {"a": None, "b": [1, 2.5]}
    for about in ("how long to train", "logging", "the processes", "gradient_accumulation_steps"):
        assert about in ALLOWED


@pytest.mark.parametrize("where", ["", "training."])
def test_a_run_may_begin_to_watch_a_score_or_leave_off(where: str) -> None:
    watched, other = ({f"{where}metric_for_best_model": name} for name in ("loss", "average"))
    unwatched = {f"{where}metric_for_best_model": None}
    assert not [*changed(watched, unwatched), *changed(unwatched, watched)]
    assert [*changed(watched, other)]
