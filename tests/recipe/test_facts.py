"""What a recipe knows of its run before a model is built."""

from hf_mtl import SequenceClassification
from hf_mtl.recipe.facts import RecipeFacts
from hf_mtl.recipe.schema import ModelSection
from hf_mtl.recipe.sections import training_section
from hf_mtl.tasks import Task

TASKS: dict[str, Task | None] = {"a": SequenceClassification(), "b": None}


def test_of_what_is_not_said_nothing_is_known() -> None:
    facts = RecipeFacts.of(TASKS, None, None)
    assert list(facts.of_balancing.tasks) == ["a", "b"]
    assert facts.of_balancing.parts == {}
    assert facts.of_mixture.scored is facts.of_schedules.evaluated is facts.of_schedules.encoder_trained is None


def test_without_evaluations_no_task_is_evaluated() -> None:
    training = training_section()
    never, often = (training.model_validate(given) for given in ({}, {"eval_strategy": "epoch"}))
    assert RecipeFacts.of(TASKS, None, never).of_schedules.evaluated == ()
    assert RecipeFacts.of(TASKS, None, often).of_schedules.evaluated is None


def test_a_frozen_encoder_and_no_adapters_are_known() -> None:
    frozen = RecipeFacts.of(TASKS, ModelSection(backbone="x", freeze="encoder", peft="lora"), None)
    assert frozen.of_balancing.parts == {"all": "frozen"}
    assert frozen.of_schedules.encoder_trained is False
    by_head = RecipeFacts.of(TASKS, ModelSection(backbone="x", head="stl_cnn"), None)
    assert by_head.of_balancing.parts == {"all": "frozen", "adapters": "absent"}
    assert RecipeFacts.of(TASKS, ModelSection(backbone="x"), None).of_balancing.parts == {"adapters": "absent"}


def test_it_is_known_by_which_argument_processes_share_the_model() -> None:
    training = training_section()
    for given, shared in (({"fsdp": True}, "fsdp"), ({"deepspeed": "ds.json"}, "deepspeed"), ({"fsdp": False}, None)):
        assert RecipeFacts.of(TASKS, None, training.model_validate(given)).of_balancing.shared == shared
