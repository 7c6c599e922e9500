"""A trained model as plain checkpoints of transformers, one per task."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from hf_mtl.errors import ModelError, UserError
from hf_mtl.inference.new_folder import check_free, made_whole
from hf_mtl.modeling import MultiTaskModel

_LONGEST = 120  # file systems allow 255 bytes, encrypted ones 143


def export_plain(
    model: MultiTaskModel, directory: str | Path, tasks: Sequence[str] = ()
) -> tuple[dict[str, str], dict[str, ModelError]]:
    """Write tasks as ``AutoModelFor...`` checkpoints that need no hf_mtl, each with its tokenizer.

    Args:
        model: The model.
        directory: The folder to make; of several tasks each has one of its own in it, see `folder_of`.
        tasks: The tasks; one alone is written into the folder itself. Empty: all that can be.

    Returns:
        The class of each task that was written, and why others were not.

    Raises:
        UserError: If a task that was named cannot be exported, or none of all; the folder is not made.
    """
    place = Path(directory)
    check_free(place, "DIR")
    model.heads.check_names(tasks)
    written: dict[str, str] = {}
    refused: dict[str, ModelError] = {}
    with made_whole(place) as folder:
        for name in tasks or model.tasks:
            own = folder if len(tasks) == 1 else folder / folder_of(name)
            try:
                written[name] = model.export_task(name, own)
            except ModelError as error:
                refused[name] = error
        if refused and (tasks or not written):
            raise UserError(dict.fromkeys(mistake for error in refused.values() for mistake in error.mistakes))
    return written, refused


def folder_of(task: str) -> str:
    """Return the name of a task's folder: its own name, where that can be one."""
    name = quote(task, safe=" !#$&'()+,;=@[]{}^~")
    if len(name) > _LONGEST:  # a model that was made in Python may have any names
        return f"{name[:_LONGEST]}-{sha256(task.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    return name.replace(".", "%2E") if not name.strip(". ") else name


def plain_places(directory: str | Path, written: Mapping[str, str], tasks: Sequence[str]) -> dict[str, Path]:
    """Return where each task that was written is."""
    place = Path(directory)
    return {name: place if len(tasks) == 1 else place / folder_of(name) for name in written}
