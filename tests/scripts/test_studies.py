"""The reports of the studies: made of the committed results alone, and what stands in the studies' pages."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pages import parts_of

ROOT = Path(__file__).parents[2]
STUDIES = sorted(path.name.removeprefix("reproduce_") for path in (ROOT / "scripts").glob("reproduce_*"))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("study", STUDIES)
def test_a_report_needs_the_committed_results_alone_and_is_what_the_page_shows(study: str, tmp_path: Path) -> None:
    program, page = ROOT / "scripts" / "studies" / f"{study}_report.py", ROOT / "recipes" / "studies" / study
    written = tmp_path / "README.md"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, str(program), "--work", str(tmp_path), "--readme", str(written)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.splitlines()) > 5
    parts = parts_of(written.read_text())
    assert list(parts) == ["measured"]
    if (page / "README.md").exists():
        assert parts_of((page / "README.md").read_text())["measured"] == parts["measured"]


def test_every_study_has_results_and_a_report() -> None:
    assert {"balancing", "few_task", "mt2st", "vip"} <= set(STUDIES)
    for study in STUDIES:
        assert (ROOT / "scripts" / "studies" / "results" / f"{study}.jsonl").exists()
        assert (ROOT / "scripts" / "studies" / f"{study}.py").exists()
