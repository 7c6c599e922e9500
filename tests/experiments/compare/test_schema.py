import copy

import jsonschema
import pytest

from hf_mtl.errors import Mistake
from hf_mtl.experiments.compare.schema import StudyFile, study_schema
from hf_mtl.validation import validate

STUDY = {"base": "a.yaml", "arms": {"single_task": "single_task", "uw": {"balancing": {"weighting": "uw"}}}}


def mistakes(**keys: object) -> list[str]:
    found: list[Mistake] = []
    validate(StudyFile, {**STUDY, **keys}, (), found)
    return [str(item) for item in found]


def test_seeds_are_a_number_or_a_list() -> None:
    assert StudyFile(**STUDY, seeds=2).seed_list == [0, 1]
    assert StudyFile(**STUDY, seeds=[7, 3]).seed_list == [7, 3]
    assert mistakes(seeds=[1, 1]) == ["seeds: found [1, 1]. Allowed: different seeds."]


def test_what_is_wrong_is_said_with_what_is_allowed() -> None:
    assert mistakes(budget={"equal": "flop"}) == [
        "budget.equal: unknown value 'flop'. Known: backward_passes, flops, seconds, steps. Did you mean 'flops'?"
    ]
    assert mistakes(smallest=0) == ["smallest: found 0. Allowed: more than 0."]
    assert mistakes(baselines={"llm": {"model": "gpt2"}}) == [
        "baselines: found {llm: {model: gpt2}}. Allowed: true or false; what the recipe says under baselines goes "
        "under set: {baselines: ...}."
    ]
    assert mistakes(folds=1) == ["folds: found 1. Allowed: at least 2."]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"smallest": float("inf")}, "smallest: found inf. Allowed: a finite number."),
        ({"smallest": float("nan")}, "smallest: found nan. Allowed: a finite number."),
        ({"seeds": [0, 2**40]}, "seeds.1: found 1099511627776. Allowed: less than 4294967296."),
        ({"seeds": 2**40}, "seeds: found 1099511627776. Allowed: at most 1000000."),
        ({"repeats": 3}, "repeats: found 3. Allowed: 1 without folds, as nothing is dealt out: give folds too, or "),
        ({"output_dir": ""}, "output_dir: found ''. Allowed: the path of a folder."),
        ({"output_dir": " "}, "output_dir: found ' '. Allowed: the path of a folder."),
    ],
)
def test_what_no_run_could_have_is_refused(keys: dict[str, object], said: str) -> None:
    (found,) = mistakes(**keys)
    assert found.startswith(said)


def test_repeats_are_those_of_folds() -> None:
    assert StudyFile(**STUDY, folds=5, repeats=3, seeds=[1, 2]).runs_of_a_part == 30
    assert mistakes(repeats=1) == mistakes(folds=5, repeats=3) == []


def test_the_schema_takes_studies_and_refuses_unknown_keys() -> None:
    schema = study_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate({**STUDY, "extends": "other.yaml", "seeds": [1, 2], "budget": {"equal": "flops"}})
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({**copy.deepcopy(STUDY), "seedz": 1})
