"""The facts of a Trainer's card, of a run that has no recipe."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hf_mtl.modeling.frozen_encoder import EncoderSource
from hf_mtl.reporting.card import CardFacts
from hf_mtl.reporting.results_file import logged_results
from hf_mtl.training.folder.machine import this_machine

if TYPE_CHECKING:
    from hf_mtl.training.trainer.trainer import MultiTaskTrainer


def facts_of_trainer(trainer: "MultiTaskTrainer", name: str) -> CardFacts:
    """Return what a Trainer knows of its model, as it is now.

    Args:
        trainer: The Trainer, before, in or after training.
        name: The repository.
    """
    config = trainer.model.config
    log = trainer.state.log_history
    splits = {"train": trainer.train_dataset, "validation": trainer.eval_dataset}
    rows = {
        task: {
            split: len(found[task]) for split, found in splits.items() if isinstance(found, Mapping) and task in found
        }
        for task in config.task_objects
    }
    identity = getattr(trainer, "identity", None)
    facts = {} if identity is None else identity.facts
    recipe = {
        "model": {key: getattr(config, key) for key in ("backbone", "freeze")},
        "mixture": _section(facts, "mixture"),
        "balancing": _section(facts, "balancing"),
        "schedules": facts.get("schedules", ()),
        "training": {key: getattr(value, "value", value) for key, value in vars(trainer.args).items()},
    }
    source = EncoderSource.of(config)
    return CardFacts(
        name,
        config.decided_tasks,
        recipe if log else {"model": recipe["model"]},
        base_model=config.backbone,
        has_page=config.backbone is not None and ":" not in config.backbone,
        heads_only=None if source is None else source.words,
        peft=config.peft,
        results=_results(trainer),
        rows=rows,
        log=log,
        machine=this_machine(trainer.args.device, trainer.args.world_size),
    )


def _section(facts: Mapping[str, Any], name: str) -> dict[str, Any]:
    start = f"{name}."
    return {key.removeprefix(start): value for key, value in facts.items() if key.startswith(start)}


def _results(trainer: "MultiTaskTrainer") -> dict[str, Any]:
    """Return the last scores of an evaluation, how training ended, and what was found of rows trained on."""
    found = {} if trainer.ending is None else trainer.ending.to_dict()
    if trainer.overlaps is not None:
        found["contamination"] = [overlap.to_dict() for overlap in trainer.overlaps]
    record = next((item for item in reversed(trainer.state.log_history) if "eval_average" in item), None)
    return found if record is None else {**found, **logged_results(record, trainer.tasks)}
