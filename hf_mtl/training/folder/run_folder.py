"""A run's folder: what is in it, and how it comes to be without ever being half-written."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accelerate import PartialState

from hf_mtl.data.processes import agree
from hf_mtl.errors import DiskError, Mistake, RunError, UserError
from hf_mtl.inference.manifest import listed
from hf_mtl.reporting.json_files import write_json_atomic
from hf_mtl.reporting.results_file import read_results
from hf_mtl.shown import get_logger
from hf_mtl.training.checkpoint import checkpoints, is_checkpoint
from hf_mtl.training.folder.fresh_folder import place_mistakes
from hf_mtl.training.folder.names import DRAWN, FIGURES, RECIPE, RESULTS, TEST_ROWS, of_a_run
from hf_mtl.training.folder.obstacles import obstacle_mistake, obstacles
from hf_mtl.training.folder.own_checkpoints import own_files, remove_empty
from hf_mtl.training.folder.replaced_run import ReplacedRun
from hf_mtl.training.folder.root_model import RootModel
from hf_mtl.training.folder.run_data import RunData
from hf_mtl.training.folder.run_record import LOG, STAGING, WORK, RunRecord, seal_of
from hf_mtl.training.together import all_or_none

logger = get_logger(__name__)


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
        self.staging = self.path / STAGING
        self.record = RunRecord(self.path)
        self.replaced = ReplacedRun(self.path)
        self.model = RootModel(self.path, self.record)
        self.goes_on = False
        """Tells whether a finished run is trained on: it is then an unfinished one."""
        self._fresh = False  # whether a run begins where none was

    @property
    def exists(self) -> bool:
        """Tell whether a run has begun here: by its record, or, where that is lost, by a checkpoint or a sealed
        model.
        """
        return self.record.begun or self._has_weights()

    @property
    def replaces_another(self) -> bool:
        """Tell whether a run has begun here in the place of one that is kept until this one has its results."""
        place = self.replaced.place
        return place is not None and self.record.begun and RunRecord(place).begun

    @property
    def is_finished(self) -> bool:
        """Tell whether the run here has ended; its results are written last."""
        return self.exists and (self.path / RESULTS).exists() and not self.goes_on

    def results(self) -> dict[str, Any]:
        """Return the results of a finished run.

        Raises:
            CheckpointError: If they are damaged; names the file.
        """
        return read_results(self.path / RESULTS)

    def recover(self) -> None:
        """Put a run back whose replacing was killed half-way, on all processes together; nobody else may be at it."""
        processes = PartialState()
        if processes.is_main_process and self.replaced.recover():
            logger.warning(f"{self.path}: its replacing was broken off before; the run is back in its place.")
        processes.wait_for_everyone()

    def check(self, resume: bool, overwrite: bool) -> None:
        """Refuse a folder that cannot take the run; writes nothing.

        Raises:
            RunError: If a run is here and nothing was said about it, or both things were; if there cannot be a folder
                here; or if something lies where the run would write, and no run has written it.
        """
        self.refuse_file()
        if resume and overwrite:
            raise RunError("--resume continues a run and --overwrite starts it anew; give one of them")
        if not (resume and self.is_finished):  # then nothing will be written
            self.record.refuse_strange()
        if self.record.begun and not resume and not overwrite:
            state = "a finished run" if self.is_finished else f"an unfinished run{self._kept()}"
            raise RunError(
                f"{self.path} holds {state}. Continue it with --resume, start anew with --overwrite, "
                f"or choose another folder with training.output_dir=FOLDER"
            )
        if resume and self.is_finished:
            return  # nothing will be written
        found = list(obstacles(self.path, self.record, resume and self.exists))
        if found:
            lost = self.exists and not resume and not self.record.begun
            raise RunError(obstacle_mistake(self.path, self.record, found, can_be_resumed=lost))

    def _kept(self) -> str:
        place = self.replaced.place
        return "" if place is None else f" (the one that it replaces is kept in {place} until it has its results)"

    def refuse_file(self) -> None:
        """Refuse a path where there cannot be a folder.

        Raises:
            RunError: If it, or a part of it, is a file, or its name is too long.
        """
        try:
            for path in (self.figures, self.path, *self.path.parents):
                if path.exists() and not path.is_dir():
                    raise RunError(Mistake("training.output_dir", f"{path} is a file, not a folder"))
        except OSError as error:
            found = f"{path} cannot be a folder: {error.strerror}"
            raise RunError(Mistake("training.output_dir", found, "Choose another one")) from error

    def refuse_unwritable(self) -> None:
        """Refuse, on all processes together, a folder that cannot be made or written.

        Raises:
            RunError: If it is one.
        """
        found = place_mistakes(self.path) if PartialState().is_main_process else []
        agree(RunError(found) if found else None)

    def open(self, resume: bool, overwrite: bool) -> None:
        """Make room for a run, on all processes together: a run that it replaces is moved aside.

        Raises:
            RunError: As `check`.
        """
        self.check(resume, overwrite)
        processes = PartialState()
        processes.wait_for_everyone()  # nobody writes before everybody has looked
        with all_or_none(self.path):
            if processes.is_main_process:
                self._make_room(resume, overwrite)

    def _make_room(self, resume: bool, overwrite: bool) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.staging, ignore_errors=True)
        self._fresh = not self.exists
        if overwrite and self.record.begun:
            self.replaced.take_away()
        elif resume and not self.record.begun:
            self._adopt()
        self.record.begin()
        remove_empty(self.path / WORK)

    def _adopt(self) -> None:
        """Note the files of a run whose record is lost: it is resumed, so they are known to be a run's."""
        found = of_a_run(self.path)
        for name, path in found.items():
            if is_checkpoint(name) and own_files(path):
                self.record.note_checkpoint(name, listed(path))
        files = [*(name for name in found if not is_checkpoint(name) and name != RECIPE), *DRAWN]
        self.record.settle({name: seal_of(self.path / name) for name in files if (self.path / name).is_file()})

    @contextmanager
    def or_as_before(self) -> Iterator[None]:
        """Put the run that was replaced back if the new one ends with an error before it has a checkpoint or a model.

        Of a run that is refused before it has one, nothing is left where none was before.
        Where the new one ends later without results, the replaced one is kept, and it is said where.
        """
        try:
            yield
        except UserError:
            if PartialState().is_main_process and self._fresh and not self._has_weights():
                self._take_back()
            raise
        finally:
            if PartialState().is_main_process and self.replaced.place is not None and not self.is_finished:
                self._give_back()

    def _has_weights(self) -> bool:
        return any(map(own_files, checkpoints(self.path))) or self.model.exists

    def _take_back(self) -> None:
        """Remove what a run has written before its first step."""
        for name in self.record.files:
            if self.record.is_own(name):
                (self.path / name).unlink(missing_ok=True)
        shutil.rmtree(self.path / WORK, ignore_errors=True)
        self.record.path.unlink(missing_ok=True)

    def _give_back(self) -> None:
        begun = self._has_weights()
        shutil.rmtree(self.staging, ignore_errors=True)
        try:
            if not begun and self.replaced.give_back():
                logger.warning(f"The run that was to be replaced is back in {self.path}.")
                return
        except (OSError, DiskError) as error:  # such as a full disk, which may be what ended the run
            logger.warning(f"The run that was to be replaced could not be put back ({error}).")
        logger.warning(
            f"The run that was replaced is kept in {self.replaced.place} until this one has its results (--resume), "
            "or another has (--overwrite)."
        )

    def settle(self) -> None:
        """Remove the run that was replaced: the one in the folder has its results."""
        self.replaced.remove()

    def unfinish(self) -> None:
        """Remove the results of a finished run that trains on, and its test rows: they will be another model's."""
        rows = [TEST_ROWS] if self.record.is_own(TEST_ROWS) else []
        for name in (RESULTS, *rows):
            (self.path / name).unlink(missing_ok=True)
        self.record.forget([RESULTS, *rows])

    def write_recipe(self, text: str) -> None:
        """Keep the resolved recipe; one with the same content that the user has edited stays as it is."""
        if self.recipe.exists() and not self.record.is_own(RECIPE):
            return  # `same_run` has refused any other
        with self.record.replacing(RECIPE) as temporary:
            temporary.write_text(text, "utf-8")

    @contextmanager
    def drawing(self, name: str) -> Iterator[Path]:
        """Yield where to draw a figure that will be ``figures/NAME``.

        Raises:
            RunError: If what is there was not drawn for this run.
        """
        with self.record.replacing(f"{FIGURES}/{name}") as temporary:
            yield temporary

    def publish_model(self, staged: Path) -> None:
        """Move a complete, sealed model to the root; see `RootModel.publish`."""
        self.model.publish(staged)

    def write_results(self, results: dict[str, Any]) -> None:
        """Write the results, which end the run; one that it replaced is removed."""
        if self.log.exists():
            self.record.settle({LOG: seal_of(self.log)})
        with self.record.replacing(RESULTS) as temporary:
            write_json_atomic(temporary, results)
        self.settle()
