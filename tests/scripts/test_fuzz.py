import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[2] / "scripts" / "fuzzing" / "fuzz.py"


def _run(kind: str, count: int, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FUZZ), kind, "--count", str(count), "--failures", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_mutated_recipes_end_in_messages(tmp_path: Path) -> None:
    result = _run("recipes", 5000, tmp_path)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
    assert "5,000 recipes, 0 kinds of failure" in result.stdout


def test_what_an_input_does_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FUZZ.parent))
    import watch

    from hf_mtl.errors import UserError

    def attempt(data: bytes) -> None:
        if data == b"slow":
            while True:
                pass
        raise {b"refused": UserError("a message")}.get(data, KeyError("x"))

    monkeypatch.setattr(watch, "SECONDS", 0.2)
    assert watch.watched(lambda data: None, b"") is None
    assert watch.watched(attempt, b"refused") is None
    slow, wrong = watch.watched(attempt, b"slow"), watch.watched(attempt, b"")
    assert slow is not None
    assert slow.is_slow
    assert wrong is not None
    assert wrong.place.startswith("KeyError: test_fuzz.py")
