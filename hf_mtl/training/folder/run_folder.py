"""A run's folder: what is in it, and how it comes to be without ever being half-written."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from accelerate import PartialState

from hf_mtl.data.processes import agree
from hf_mtl.errors import CheckpointError, DiskError, Mistake, RunError, UserError
from hf_mtl.inference.manifest import LOADED, MANIFEST, MODEL_CONFIG, listed
from hf_mtl.reporting.json_files import write_json_atomic
from hf_mtl.reporting.results_file import read_results
from hf_mtl.shown import get_logger
from hf_mtl.training.checkpoint import checkpoints, is_checkpoint
from hf_mtl.training.folder.fresh_folder import place_mistakes
from hf_mtl.training.folder.own_checkpoints import own_files, remove_empty, strangers
from hf_mtl.training.folder.replaced_run import ReplacedRun
from hf_mtl.training.folder.run_data import DATA, TRAINED, RunData
from hf_mtl.training.folder.run_record import LOG, RECORD, STAGING, WORK, RunRecord, seal_of
from hf_mtl.training.together import all_or_none

logger = get_logger(__name__)

RECIPE = "recipe.yaml"
RESULTS = "results.json"
FIGURES = "figures"
WRITTEN = (RECORD, RECIPE, DATA, TRAINED, RESULTS, LOG, MANIFEST, MODEL_CONFIG, "training_args.bin")
_DRAWN = (f"{FIGURES}/training.png", f"{FIGURES}/gradients.png")
_NAMED = 8


def would_write(name: str) -> bool:
    """Tell whether a run writes a file of this name, or a checkpoint, into its folder."""
    return name in WRITTEN or is_checkpoint(name) or any(fnmatch(name, pattern) for pattern in LOADED)


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
        self.goes_on = False
        """Whether a finished run is trained on: it is then an unfinished one."""
        self._fresh = False  # whether a run begins where none was

    @property
    def exists(self) -> bool:
        """Tell whether a run has begun here: by its record, or, where that is lost, by a checkpoint or a sealed
        model.
        """
        return self.record.begun or any(map(own_files, checkpoints(self.path))) or MODEL_CONFIG in self._sealed()

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
        found = list(self._in_the_way(resume and self.exists))
        if found:
            raise RunError(self._in_the_way_of(found, resume))

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

    def _in_the_way(self, goes_on: bool) -> Iterator[str]:
        """Yield what lies where the run would write and is not the run's, by name.

        Args:
            goes_on: Whether the run here is resumed. Checkpoints are then looked at when its steps are known, and its
                recipe when that is compared; where its record is lost, what has the names of a run's files is its.
        """
        if os.path.lexists(self.path / WORK) and not (self.path / WORK).is_dir():
            yield WORK
        begun = self.record.begun
        if goes_on and not begun:
            return
        compared = [RECIPE] if goes_on else []
        names = {path.name for path in self._entries() if would_write(path.name)} - {RECORD}
        for name in sorted({*names, *_DRAWN, *self.record.files}):
            if is_checkpoint(name):
                found = strangers(self.path / name) if begun else [self.path / name]
                yield from [] if goes_on else (str(path.relative_to(self.path)) for path in found)
            elif os.path.lexists(self.path / name) and not self.record.is_own(name) and name not in compared:
                yield name

    def _entries(self) -> list[Path]:
        """Return what is in the folder; of the names that only files have, only files."""
        with suppress(OSError):
            return [
                path
                for path in self.path.iterdir()
                if not path.is_dir() or path.name in WRITTEN or is_checkpoint(path.name)
            ]
        return []

    def _in_the_way_of(self, found: list[str], resume: bool) -> Mistake:
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        named = f"{self.path} holds {', '.join(found[:_NAMED])}{more}"
        if self.record.begun:
            problem = (
                f"{named}, where the run would write: changed since the run here wrote it, or put there by others"
            )
        else:
            problem = f"{named}, where the run would write, and no {RECORD} says that a run of hf_mtl wrote it"
        edited = ", and train it from there if you edited it" if self.record.begun and found == [RECIPE] else ""
        remedy = f"Move it away{edited}, or choose another folder with training.output_dir=FOLDER"
        if self.exists and not resume and not self.record.begun:
            remedy += "; --resume goes on with the run that is here"
        return Mistake("training.output_dir", problem, remedy)

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
        found = {path.name: path for path in self._entries() if would_write(path.name)}
        for name, path in found.items():
            if is_checkpoint(name) and own_files(path):
                self.record.note_checkpoint(name, listed(path))
        files = [*(name for name in found if not is_checkpoint(name) and name != RECIPE), *_DRAWN]
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
        return any(map(own_files, checkpoints(self.path))) or MODEL_CONFIG in self._sealed()

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
        """Remove the results of a finished run that trains on, which will be another model's."""
        (self.path / RESULTS).unlink(missing_ok=True)
        self.record.forget([RESULTS])

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
        """Move a complete, sealed model from a staging folder to the root, file by file.

        The old manifest goes first and the new one comes last, after the config: what breaks off in between leaves a
        root that nothing calls whole.

        Raises:
            RunError: If somebody else's file has the place of one; nothing is moved.
        """
        seals = {**listed(staged), MANIFEST: seal_of(staged / MANIFEST)}
        self.record.refuse_others(seals)
        self.record.expect(seals)
        old = [name for name in self._sealed() if name not in seals and self.record.is_own(name)]
        for name in [MANIFEST, *old]:
            (self.path / name).unlink(missing_ok=True)
        for name in sorted(seals, key=lambda name: (name == MANIFEST, name == MODEL_CONFIG)):
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(staged / name, self.path / name)
        self.record.forget(old)
        self.record.settle(seals)
        remove_empty(staged)
        remove_empty(self.path / WORK)

    def _sealed(self) -> Iterable[str]:
        """Return the files of the model at the root, as its manifest lists them; none where there is no manifest."""
        try:
            return listed(self.path)
        except CheckpointError:
            return ()

    def write_results(self, results: dict[str, Any]) -> None:
        """Write the results, which end the run; one that it replaced is removed."""
        if self.log.exists():
            self.record.settle({LOG: seal_of(self.log)})
        with self.record.replacing(RESULTS) as temporary:
            write_json_atomic(temporary, results)
        self.settle()
