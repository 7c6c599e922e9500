"""Places that a run is refused: in what it reads, where it would write over that, and in another run."""

import glob
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path, PurePath

from hf_mtl.data.readers import READERS
from hf_mtl.errors import Mistake, ModelError, RunError
from hf_mtl.modeling.backbone import resolve_backbone
from hf_mtl.recipe import Recipe
from hf_mtl.tasks import DatasetSource, Task
from hf_mtl.training.folder.names import OF_MANY, RECIPE, WRITTEN, would_write
from hf_mtl.training.folder.run_folder import RunFolder
from hf_mtl.training.folder.run_record import RECORD, RunRecord

_KEY = "training.output_dir"
_REMEDY = "Choose another folder with training.output_dir=FOLDER"


def refuse_place(recipe: Recipe, folder: RunFolder) -> None:
    """Refuse a folder in which a run would write into its own backbone or data, or into another run.

    Raises:
        RunError: With everything that it would write into.
    """
    mistakes = [*_other_runs(folder, folder.path.resolve()), *written_over(recipe, folder.path)]
    if mistakes:
        raise RunError(recipe.with_places(mistakes))


def written_over(recipe: Recipe, folder: Path) -> list[Mistake]:
    """Find the backbone and data into which a run in a folder would write.

    Args:
        recipe: The recipe.
        folder: The folder.
    """
    place = folder.resolve()
    return [
        Mistake(_KEY, f"{folder} {problem} (see {key})", _REMEDY)
        for key, read in _inputs(recipe)
        if (problem := _written_over(read, place))
    ]


def refuse_copy(recipe: Recipe, folder: RunFolder) -> None:
    """Refuse to go on with a run, or to replace it, by the recipe in the folder of another one.

    A run that was copied or moved names its old folder, and a relative one depends on where the command is given.

    Raises:
        RunError: If the recipe's file lies in a run's folder, and it does not name this one.
    """
    file = Path(recipe.locate(_KEY).rpartition(":")[0])  # empty for the command line and for Python: the user's word
    if file.name != RECIPE or file.parent.resolve() == folder.path.resolve() or not RunRecord(file.parent).begun:
        return
    problem = f"{folder.path} is not the folder of the run that {file} belongs to"
    remedy = f"Say which one you mean: training.output_dir={file.parent}, or training.output_dir={folder.path}"
    raise RunError(recipe.with_places([Mistake(_KEY, problem, remedy)]))


def _other_runs(folder: RunFolder, place: Path) -> Iterator[Mistake]:
    """Let a run that is there already stay where it is."""
    if folder.exists:
        return
    around = next((path for path in place.parents if RunRecord(path).begun), None)
    if around is not None:
        yield Mistake(_KEY, f"{folder.path} lies in the folder of another run, {around}", _REMEDY)
    many = next(((path, name) for path in (place, place.parent) for name in OF_MANY if (path / name).exists()), None)
    if many is not None:
        around, name = many
        what = f"{OF_MANY[name]}'s folder"
        found = f"is {what}" if around == place else f"lies in {what}, {around}"
        yield Mistake(_KEY, f"{folder.path} {found}", _REMEDY)
        return
    within = next((path.parent for path in place.glob(f"*/{RECORD}") if RunRecord(path.parent).begun), None)
    if within is not None:
        found = f"{folder.path} holds the folders of other runs, such as {within.name}"
        yield Mistake(_KEY, found, f"Choose a folder in it: training.output_dir={folder.path / 'NAME'}")


def _inputs(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Yield what a recipe reads from this machine: key, and path or pattern."""
    for name in ("backbone", "tokenizer"):
        found = getattr(recipe.model, name)
        if isinstance(found, str):
            yield f"model.{name}", found
    for name, task in recipe.tasks.items():
        for key, source in _sources(name, task):
            if source.path not in READERS:  # any data_files are then a dataset's own
                yield key, source.path
            else:
                yield from ((f"{key}.data_files", file) for file in _files(source))


def _sources(name: str, task: Task) -> Iterator[tuple[str, DatasetSource]]:
    key = f"tasks.{name}.dataset"
    if isinstance(task.dataset, DatasetSource):
        yield key, task.dataset
    for index, source in enumerate(task.dataset if isinstance(task.dataset, list) else []):
        yield f"{key}.{index}", source


def _files(source: DatasetSource) -> Iterator[str]:
    found = source.data_files or []
    for files in found.values() if isinstance(found, dict) else [found]:
        yield from [files] if isinstance(files, str) else files


def _written_over(read: str, place: Path) -> str:
    """Tell how a run at a place would write into what it reads; empty if it would not."""
    try:
        path = Path(resolve_backbone(read)).expanduser()
    except ModelError:  # said where it is loaded
        return ""
    if "://" in read:
        return ""
    path = path.resolve()
    if path.is_dir() and (path == place or path in place.parents):
        return f"is {path}, which the run reads" if path == place else f"lies in {path}, which the run reads"
    if path.is_relative_to(place) and would_write(path.relative_to(place).parts[0]):
        return f"is where the run would write {path.relative_to(place).parts[0]}, and it reads {path}"
    # Once the run has begun, a pattern would also take up what it wrote.
    taken = next((name for name in WRITTEN if glob.has_magic(read) and _matches(place / name, path)), None)
    return "" if taken is None else f"is where the run would write {taken}, which '{read}' would read"


def _matches(path: Path, pattern: Path) -> bool:
    # `match` compares part by part, so that *.json takes no file of a folder below; it knows no **.
    return fnmatch(str(path), str(pattern)) if "**" in pattern.parts else PurePath(path).match(str(pattern))
