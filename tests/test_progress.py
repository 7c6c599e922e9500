"""Progress bars of other libraries, off and on again."""

from collections.abc import Iterator
from logging import WARNING
from pathlib import Path

import datasets
import huggingface_hub.utils as hub
import pytest
from transformers.utils import logging

from hf_mtl.data import tokenize
from hf_mtl.progress import no_bars, no_load_reports
from tests import tiny
from tests.training.trainers import make


def shown() -> tuple[bool, bool, bool]:
    return (
        not datasets.are_progress_bars_disabled(),
        not hub.are_progress_bars_disabled(),
        logging.is_progress_bar_enabled(),
    )


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = shown()
    yield
    set_to(before)


def set_to(bars: tuple[bool, bool, bool]) -> None:
    (logging.enable_progress_bar if bars[2] else logging.disable_progress_bar)()
    (hub.enable_progress_bars if bars[1] else hub.disable_progress_bars)()
    (datasets.enable_progress_bars if bars[0] else datasets.disable_progress_bars)()


@pytest.mark.parametrize(
    "bars", [(True, True, True), (False, False, False), (True, False, True), (False, True, False)]
)
def test_bars_are_off_for_a_while_and_then_as_before(bars: tuple[bool, bool, bool]) -> None:
    set_to(bars)
    with no_bars(wanted=False):
        assert shown() == bars
    with no_bars():
        with no_bars():
            assert shown() == (False, False, False)
        assert shown() == (False, False, False)
    assert shown() == bars


def test_what_is_loaded_to_be_looked_at_is_not_reported() -> None:
    before = logging.get_verbosity()
    logger = logging.get_logger("transformers.modeling_utils")
    with no_load_reports():
        assert not logger.isEnabledFor(WARNING)
    assert logging.get_verbosity() == before
    with pytest.raises(KeyError), no_load_reports():
        raise KeyError
    assert logging.get_verbosity() == before


@pytest.mark.parametrize("quiet", [True, False])
def test_a_trainer_shows_bars_unless_told_not_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], quiet: bool
) -> None:
    set_to((True, True, True))
    monkeypatch.setattr(tokenize, "_LONG_WORK", 1)  # every work is long
    sizes = {"mood": 12 + quiet}  # not what the other has in its cache
    every = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 1}
    best = {"load_best_model_at_end": True, "metric_for_best_model": "average"}
    rows = {name: tiny.datasets(sizes, seed) for seed, name in enumerate(("train", "evaluation", "test"), start=70)}
    trainer = make(
        tmp_path,
        model=tiny.model(tasks={"mood": tiny.TASKS["mood"]}),
        train=rows["train"],
        evaluation=rows["evaluation"],
        disable_tqdm=quiet,
        max_steps=1,
        **every,
        **best,
    )
    trainer.train()
    trainer.predict(rows["test"])
    trainer.save_model(str(tmp_path / "model"))
    said = capfd.readouterr().err
    assert [part in said for part in ("Tokenising", "Writing model shards", "%|")] == [not quiet] * 3
    assert shown() == (True, True, True)
