"""The mixture of a window is settled when the window begins, not earlier: prefetching cannot see the future."""

from pathlib import Path

import pytest

from hf_mtl import MultiTaskTrainer, MultiTaskTrainingArguments
from tests import tiny

STEPS, WINDOW = 7, 3


@pytest.mark.parametrize("workers", [0, 2])
def test_the_trainer_asks_for_a_windows_mixture_when_the_steps_before_it_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    args = MultiTaskTrainingArguments(
        output_dir=str(tmp_path),
        per_device_train_batch_size=4,
        gradient_accumulation_steps=2,
        max_steps=STEPS,
        window_steps=WINDOW,
        dataloader_num_workers=workers,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
    )
    data = tiny.datasets({"topic": 20, "mood": 10, "score": 10})
    trainer = MultiTaskTrainer(tiny.model(), args, data, processing_class=tiny.tokenizer(), mixture={"anneal": {}})
    assert trainer.course.steps_per_epoch == 5  # a window reaches into the next epoch
    asked: list[tuple[int, int]] = []
    probabilities = trainer.mixture.probabilities

    def noting(progress: float) -> dict[str, float]:
        asked.append((round(progress * STEPS), trainer.state.global_step))
        return probabilities(progress)

    monkeypatch.setattr(trainer.mixture, "probabilities", noting)
    trainer.train()
    assert asked == [(0, 0), (3, 3), (6, 6)]
