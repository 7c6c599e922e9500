"""The report of a sweep, from its files alone."""

from pathlib import Path
from typing import Any

import pytest

from hf_mtl.errors import UserError
from hf_mtl.experiments.sweep import answer as answers
from hf_mtl.experiments.sweep.report import report_again
from hf_mtl.experiments.sweep.run import run_sweep
from hf_mtl.experiments.sweep.tables import answer_tables
from tests.experiments.sweep import worlds
from tests.training import runs


@pytest.fixture
def ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    scores = {"tasks": {"topic": {"f1_macro": 0.5}}, "average": 0.5, "macro": 0.5, "worst": 0.5}
    monkeypatch.setattr(answers, "evaluate_run", lambda *args, **kwargs: scores)
    with runs.own_cache(tmp_path):
        yield run_sweep(worlds.write(tmp_path, trials=3), run=worlds.recording([]))


def test_the_tables_are_those_of_the_end_and_nothing_but_the_figure_is_written(ended: Any) -> None:
    sweep, found = ended
    figure = sweep.output_dir / "figures" / "sweep.png"
    before = {name: text for name, text in runs.content(sweep.output_dir).items() if not name.endswith(".png")}
    figure.unlink()
    assert report_again(sweep.output_dir) == answer_tables(found)
    assert figure.stat().st_size > 10_000
    after = {name: text for name, text in runs.content(sweep.output_dir).items() if not name.endswith(".png")}
    assert after == before


def test_more_trials_are_said(ended: Any, tmp_path: Path) -> None:
    run_sweep(worlds.write(tmp_path, trials=5), run=worlds.recording([]), report=False)
    assert report_again(ended[0].output_dir).endswith(
        "2 trials have ended since: hf-mtl sweep FILE answers with them."
    )


@pytest.mark.parametrize("text", [None, '{"headline": "Nothing can be said yet", "arms": {}}'])
def test_without_an_answer_of_its_own_it_is_refused(ended: Any, text: str | None) -> None:
    path = ended[0].output_dir / "answer.json"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(UserError, match=r"a sweep whose answer is not in answer\.json"):
        report_again(ended[0].output_dir)
