"""Workers that collate ahead, in a training: they change nothing, live as long as asked, and are missed."""

import multiprocessing
import re
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_mtl.errors import LostProcessError
from tests import tiny
from tests.training.trainers import make, parameters, records, same

WORKERS: dict[str, Any] = {"dataloader_num_workers": 2, "window_steps": 4, "max_steps": 10}  # epochs of 8 steps


class Counting(TrainerCallback):
    """Notes which workers are alive after each step."""

    def __init__(self) -> None:
        self.alive: list[set[int | None]] = []

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.alive.append({worker.pid for worker in multiprocessing.active_children()})


class Killing(TrainerCallback):
    """Kills a worker after the third step."""

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.global_step == 3:
            multiprocessing.active_children()[0].kill()


def test_workers_change_nothing_and_live_from_the_first_window_to_the_last(tmp_path: Path) -> None:
    runs = []
    counting = Counting()
    for options in ({}, {"dataloader_num_workers": 2, "callbacks": [counting]}):
        trainer = make(tmp_path, model=tiny.model(dropout=0.1), **{**WORKERS, "dataloader_num_workers": 0, **options})
        trainer.train()
        runs.append(trainer)
    assert same(parameters(runs[0]), parameters(runs[1]))
    assert records(runs[0], "loss") == records(runs[1], "loss")
    assert counting.alive == [counting.alive[0]] * 10
    assert len(counting.alive[0]) == 2
    assert not multiprocessing.active_children()


def test_a_run_with_workers_resumes_in_a_window_to_the_same_bits(tmp_path: Path) -> None:
    options: dict[str, Any] = {**WORKERS, "save_strategy": "steps", "save_steps": 6, "max_steps": 9}
    whole = make(tmp_path, model=tiny.model(dropout=0.1), **options)
    whole.train()
    resumed = make(tmp_path, model=tiny.model(dropout=0.1, seed=9), **options)
    resumed.train(resume_from_checkpoint=True)
    assert same(parameters(whole), parameters(resumed))


def test_workers_that_are_not_to_persist_end_with_the_epoch(tmp_path: Path) -> None:
    counting = Counting()
    make(tmp_path, callbacks=[counting], dataloader_persistent_workers=False, **WORKERS).train()
    first, second = counting.alive[0], counting.alive[8]
    assert counting.alive == [first] * 7 + [set()] + [second] * 2
    assert not first & second


def test_the_death_of_a_worker_is_told_with_what_is_left_of_the_run(tmp_path: Path) -> None:
    trainer = make(tmp_path, callbacks=[Killing()], save_strategy="steps", save_steps=2, **WORKERS)
    with pytest.raises(LostProcessError) as told:
        trainer.train()
    said = str(told.value)
    # torch has two sentences for it: of the signal handler, and of a queue that stays empty.
    assert re.match(r"training.dataloader_num_workers: DataLoader worker \(pid(\(s\))? ", said)
    assert re.search(
        r"(by signal: Killed|unexpectedly)\. A worker is killed when the machine's memory is full: fewer", said
    )
    # Batches that were fetched ahead may still be trained on.
    last = max(int(path.name.split("-")[1]) for path in tmp_path.glob("checkpoint-*"))
    assert said.endswith(f"The last checkpoint is whole: {tmp_path}/checkpoint-{last} (step {last}); resume from it.")
    assert not multiprocessing.active_children()
