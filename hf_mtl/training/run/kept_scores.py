"""Scores of the tasks that are kept as they are, before the encoder under them is trained and after."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from hf_mtl.evaluation import headline_keys
from hf_mtl.modeling.in_passing import generators_put_back
from hf_mtl.training.run.prepare import Prepared
from hf_mtl.training.trainer.trainer import MultiTaskTrainer

Before: TypeAlias = Mapping[str, Mapping[str, dict[str, float]]]
"""Scores by split and task."""


def scores_before(trainer: MultiTaskTrainer, prepared: Prepared, test: bool) -> Before:
    """Score the tasks that are kept as they are with the model that nothing has trained yet.

    A resumed run comes here with the model of its beginning too, before its checkpoint is loaded.

    Args:
        trainer: The Trainer, before its first step.
        prepared: What it was made of.
        test: Score their test rows too.
    """
    found = {}
    for split in ("validation", "test") if test else ("validation",):
        rows = {name: dataset for name, dataset in prepared.split(split).items() if name in prepared.resting}
        if rows:
            # Training draws what it would have drawn.
            with generators_put_back(trainer.args.device):
                found[split] = trainer.score(rows).tasks
    return found


def add_kept(results: dict[str, Any], prepared: Prepared, before: Before, split: str) -> None:
    """Put the scores of the tasks that are kept as they are, before and after training, beside the results.

    Args:
        results: Of a split, as in ``results.json``; takes ``kept`` and more ``notes``. Nothing where none is kept.
        prepared: What the run was made of.
        before: What `scores_before` gave.
        split: The split.
    """
    if not prepared.resting:
        return
    then, now = before.get(split, {}), results["tasks"]
    results["kept"] = {
        name: {"before": then[name], "after": now[name]} if name in then and name in now else {}
        for name in prepared.resting
    }
    for name, scores in results["kept"].items():
        if scores:
            key = headline_keys(prepared.data[name].task)[0]
            values = f"{key} {scores['before'][key]:.4f} before training and {scores['after'][key]:.4f} after"
            results["notes"].append(f"{name}: kept from the backbone as it was; {values}.")
    if others := [name for name in results["kept"] if name not in prepared.data]:
        were = "as it was" if len(others) == 1 else "as they were"
        results["notes"].append(f"{', '.join(others)}: kept from the backbone {were}; no rows to score were given.")
