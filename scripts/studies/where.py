"""Places of the files of the studies in this repository."""

from pathlib import Path

from hf_mtl.experiments.places import Places

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ROOT / "recipes"


def places(study: str) -> Places:
    """Name the files of a study."""
    results = Path(__file__).parent / "results" / f"{study}.jsonl"
    return Places(ROOT / "runs" / f"reproduce_{study}", results, RECIPES / "studies" / study / "README.md")
