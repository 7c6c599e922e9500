"""Names of the files that a run writes into its folder."""

from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path

from hf_mtl.inference.manifest import LOADED, MANIFEST, MODEL_CONFIG
from hf_mtl.training.checkpoint import is_checkpoint
from hf_mtl.training.folder.machine import MACHINE
from hf_mtl.training.folder.run_data import DATA, TRAINED
from hf_mtl.training.folder.run_record import LOG, RECORD

RECIPE = "recipe.yaml"
RESULTS = "results.json"
FIGURES = "figures"
TEST_ROWS = "test_rows.safetensors"
WRITTEN = (
    RECORD,
    RECIPE,
    DATA,
    TRAINED,
    MACHINE,
    RESULTS,
    LOG,
    MANIFEST,
    MODEL_CONFIG,
    "training_args.bin",
    TEST_ROWS,
)
OF_MANY = {"trials.json": "a study", "sweep.json": "a sweep"}
"""Files that tell the folder of many runs, which is no run's."""
DRAWN = (f"{FIGURES}/training.png", f"{FIGURES}/gradients.png")


def would_write(name: str) -> bool:
    """Tell whether a run writes a file of this name, or a checkpoint, into its folder."""
    return name in WRITTEN or is_checkpoint(name) or any(fnmatch(name, pattern) for pattern in LOADED)


def of_a_run(folder: Path) -> dict[str, Path]:
    """Find the files and checkpoints whose names a run would write, by name.

    A folder counts only where it has the name of a checkpoint or of a file that every run writes: others keep
    folders of their own under names such as ``tokenizer``.

    Args:
        folder: A run's folder.
    """
    return {path.name: path for path in _entries(folder) if would_write(path.name)}


def _entries(folder: Path) -> list[Path]:
    """Return what is in the folder; of the names that only files have, only files."""
    with suppress(OSError):
        return [
            path for path in folder.iterdir() if not path.is_dir() or path.name in WRITTEN or is_checkpoint(path.name)
        ]
    return []
