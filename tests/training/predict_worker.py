"""Predict rows of the tiny world, some without a label; started by `test_scoring_trainer`, also on two processes.

Usage: predict_worker.py OUTPUT.npz [diverge | first]

With ``diverge``, train until the run is given up, and write which step that was instead. With ``first``, have metrics
computed that take longer than processes wait for each other, and that fail; write what each process knows of them.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from transformers import EvalPrediction

from hf_mtl.errors import DivergedError
from tests import tiny
from tests.training.trainers import make

MISSING = (1, 4, -1)
"""Rows whose label is taken away, or all of several targets."""


def unlabelled(data: dict[str, Dataset]) -> tuple[dict[str, Dataset], dict[str, list[int]]]:
    """The datasets with some labels missing, and the rows that still have one."""
    found, labelled = {}, {}
    for name, dataset in data.items():
        columns = dataset.to_dict()
        for row in MISSING:
            for target in ("x", "y") if name == "score" else ("label",):
                columns[target][row] = None if row > 0 or name == "score" else -100
        found[name] = Dataset.from_dict(columns)
        lost = [row % len(dataset) for row in MISSING]
        labelled[name] = [row for row in range(len(dataset)) if row not in lost]
    return found, labelled


def diverge(output: str) -> None:
    trainer = make(Path(tempfile.mkdtemp()), max_steps=8, learning_rate=1e30, logging_steps=4)
    try:
        trainer.train()
    except DivergedError as error:
        # Every process comes here in the same step, or the next collective would wait for ever.
        steps = trainer.processes.reduce_sum(torch.tensor([trainer.state.global_step, 1]))
        if trainer.is_world_process_zero():
            np.savez(output, steps=steps.numpy(), message=str(error))


def first(output: str) -> None:
    called: list[int] = []

    def slow(found: EvalPrediction) -> dict[str, float]:
        called.append(len(found.predictions))
        time.sleep(2.5)
        return {"mine": float(found.predictions.sum())}

    def fail(found: EvalPrediction) -> dict[str, float]:
        raise ValueError("no such class")

    evaluation = tiny.datasets({"topic": 23}, seed=4)
    trainer = make(Path(tempfile.mkdtemp()), evaluation=evaluation, compute_metrics=slow, ddp_timeout=2)
    scores = {"evaluate": trainer.evaluate(), "predict": trainer.predict(evaluation).metrics}
    scores = {key: {name: value for name, value in of.items() if "mine" in name} for key, of in scores.items()}
    trainer.compute_metrics = fail
    try:
        trainer.evaluate()
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    everyone: list[str] = [""] * trainer.processes.world
    torch.distributed.all_gather_object(everyone, repr((called, scores, said)))
    if trainer.is_world_process_zero():
        np.savez(output, everyone=everyone)


def main(output: str) -> None:
    data, _ = unlabelled(tiny.datasets({"topic": 23, "mood": 7, "score": 13}, seed=4))
    trainer = make(Path(tempfile.mkdtemp()), per_device_eval_batch_size=4)
    found = trainer.predict(data)
    if trainer.is_world_process_zero():
        scores = {key: np.array(value) for key, value in found.metrics.items()}
        np.savez(
            output, **found.predictions, **{f"label/{key}": value for key, value in found.label_ids.items()}, **scores
        )


if __name__ == "__main__":
    {"diverge": diverge, "first": first}.get(sys.argv[-1], main)(sys.argv[1])
