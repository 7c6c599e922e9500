"""What `hf-mtl plan` prints and leaves behind."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Said
from tests.training import runs

Command = Callable[..., Said]


def test_the_plan_is_printed_and_nothing_is_trained(hf_mtl: Command, world: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["training.max_steps=40", "mixture={temperature: uniform, anneal: null}"]
    said = hf_mtl("plan", world / "recipe.yaml", f"training.output_dir={run}", *words)
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0].split() == ["task", "rows", "share", "rows/step", "passes", "truncated", "tokens/row", "unknown"]
    assert [line.split()[:6] for line in lines[2:5]] == [
        ["topic", "203", "33.3%", "2.67", "0.53", "0"],
        ["mood", "61", "33.3%", "2.67", "1.75", "0"],
        ["score", "97", "33.3%", "2.67", "1.10", "0"],
    ]
    tables = {part.split(maxsplit=1)[0]: part.splitlines() for part in said.out.split("\n\n")}
    assert tables["rows"][2].split() == ["topic", "203", "50", "none"]
    assert len(tables["classes"]) == 2 + 3 + 2
    assert "steps       40 of 8 rows" in said.out
    assert "epochs      0.869565" in said.out
    assert f"The mixture over time is drawn in {run / 'figures' / 'mixture.png'}." in said.out
    assert list(runs.content(run)) == ["figures/mixture.png"]


def test_a_plan_is_printed_where_it_cannot_be_drawn(
    hf_mtl: Command,
    world: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    said = hf_mtl("plan", world / "recipe.yaml", f"training.output_dir={tmp_path / 'run'}")
    assert said.code == 0
    assert "epochs " in said.out
    assert "is drawn in" not in said.out
    (text,) = [text for text in caplog.messages if "drawn" in text]
    assert text.startswith(f"{tmp_path / 'run' / 'figures' / 'mixture.png'} was not drawn: ")


def test_training_after_a_plan_is_not_refused(hf_mtl: Command, world: Path, tmp_path: Path) -> None:
    place = f"training.output_dir={tmp_path / 'run'}"
    assert hf_mtl("plan", world / "recipe.yaml", place).code == 0
    assert hf_mtl("train", world / "recipe.yaml", place, "training.max_steps=1").code == 0
