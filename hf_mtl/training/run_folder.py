"""A run's folder: what is in it, and how it comes to be without ever being half-written."""

import os
import shutil
from pathlib import Path
from typing import Any

from accelerate import PartialState

from hf_mtl.errors import CheckpointError, Mistake, RunError
from hf_mtl.reporting.json_files import write_json_atomic
from hf_mtl.reporting.results_file import read_results
from hf_mtl.training.checkpoint import MANIFEST, MODEL_CONFIG, checkpoints, listed
from hf_mtl.training.run_data import DATA, TRAINED, RunData

RECIPE = "recipe.yaml"
RESULTS = "results.json"
LOG = "log.jsonl"
FIGURES = "figures"
_MODEL = (MODEL_CONFIG, MANIFEST, "model.safetensors", "model.safetensors.index.json", "training_args.bin")
_TOKENIZER = ("tokenizer", "tokenizer.json", "tokenizer_config.json")
_OURS = (RECIPE, DATA, TRAINED, RESULTS, LOG, FIGURES, "staging", *_MODEL, *_TOKENIZER)


class RunFolder:
    """The folder ``training.output_dir``.

    Args:
        path: The folder; need not exist.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.recipe = self.path / RECIPE
        self.data = RunData(self.path)
        self.log = self.path / LOG
        self.figures = self.path / FIGURES

    @property
    def exists(self) -> bool:
        """Whether a run has begun here."""
        return any((self.path / name).exists() for name in (RECIPE, RESULTS)) or bool(checkpoints(self.path))

    @property
    def is_finished(self) -> bool:
        """Whether the run here has ended; its results are written last."""
        return (self.path / RESULTS).exists()

    def results(self) -> dict[str, Any]:
        """The results of a finished run.

        Raises:
            CheckpointError: If they are damaged; names the file.
        """
        return read_results(self.path / RESULTS)

    def check(self, resume: bool, overwrite: bool) -> None:
        """Refuse a folder that cannot take the run; writes nothing.

        Raises:
            RunError: If a run is here and nothing was said about it, or both things were, or if there cannot be a
                folder here.
        """
        for path in (self.path, *self.path.parents):
            if path.exists() and not path.is_dir():
                raise RunError(Mistake("training.output_dir", f"{path} is a file, not a folder"))
        if resume and overwrite:
            raise RunError("--resume continues a run and --overwrite starts it anew; give one of them")
        if self.exists and not resume and not overwrite:
            state = "a finished run" if self.is_finished else "an unfinished run"
            raise RunError(
                f"{self.path} holds {state}. Continue it with --resume, start anew with --overwrite, "
                f"or choose another folder with training.output_dir=FOLDER"
            )

    def open(self, resume: bool, overwrite: bool) -> None:
        """Make room for a run, on all processes together.

        Raises:
            RunError: As `check`.
        """
        self.check(resume, overwrite)
        processes = PartialState()
        processes.wait_for_everyone()  # nobody writes before everybody has looked
        if processes.is_main_process:
            if overwrite:
                self._clear()
            shutil.rmtree(self.path / "staging", ignore_errors=True)
            self.path.mkdir(parents=True, exist_ok=True)
        processes.wait_for_everyone()

    def _clear(self) -> None:
        """Remove what a run wrote, and nothing else that lies in the folder."""
        for path in [
            *checkpoints(self.path),
            *self._sealed(),
            *(self.path / name for name in _OURS),
            *self.path.glob("model-*.safetensors"),
        ]:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def write_recipe(self, text: str) -> None:
        """Keep the resolved recipe."""
        partial = self.recipe.with_suffix(".partial")
        partial.write_text(text, "utf-8")
        os.replace(partial, self.recipe)

    def publish_model(self, staged: Path) -> None:
        """Move a complete, sealed model from a staging folder to the root, file by file.

        The old manifest goes first and the new one comes last, after the config: what breaks off in between leaves a
        root that nothing calls whole.
        """
        old = self._sealed()
        (self.path / MANIFEST).unlink(missing_ok=True)
        for path in old:
            if not (staged / path.name).exists():
                path.unlink(missing_ok=True)
        for path in sorted(staged.iterdir(), key=lambda path: (path.name == MANIFEST, path.name == MODEL_CONFIG)):
            os.replace(path, self.path / path.name)
        staged.rmdir()

    def _sealed(self) -> list[Path]:
        """The files of the model at the root, as its manifest lists them; none where there is no manifest."""
        try:
            return [self.path / Path(name).name for name in listed(self.path)]
        except CheckpointError:
            return []

    def write_results(self, results: dict[str, Any]) -> None:
        """Write the results, which end the run."""
        write_json_atomic(self.path / RESULTS, results)
