"""Names, shapes and types in a model's files of weights, read from their headers before anything is loaded."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, cached_file

from hf_mtl.errors import Mistake, ModelError, one_line
from hf_mtl.foreign_json import damaged, kind_of, read_object
from hf_mtl.modeling.allowance import Allowance
from hf_mtl.modeling.tokenizer_files import HUB_OPTIONS

_REMEDY = "Copy the model again, or load another checkpoint"


@dataclass(frozen=True)
class Weights:
    """The tensors of a model's safetensors files.

    Args:
        shapes: Shape by name.
        kinds: Type by name, as safetensors spells it: ``F32``, ``BOOL``.
        files: File by name.
    """

    shapes: Mapping[str, tuple[int, ...]]
    kinds: Mapping[str, str]
    files: Mapping[str, Path]

    @property
    def allowance(self) -> Allowance:
        """The limits of a model of these weights."""
        return Allowance.of_weights(len(self.shapes), sum(math.prod(shape) for shape in self.shapes.values()))

    def check_kinds(self, wanted: Mapping[str, Tensor]) -> None:
        """Refuse a weight that is no real number in the file and one in the model.

        Args:
            wanted: The model's tensors by name.

        Raises:
            ModelError: If there is one; names its file.
        """
        for name, tensor in wanted.items():
            kind = self.kinds.get(name)
            if kind is not None and tensor.is_floating_point() != (kind[0] == "F" or kind == "BF16"):
                found = f"{name} is {kind} there, and {tensor.dtype} in the model"
                raise ModelError(Mistake("", f"{self.files[name]}: damaged ({found})", _REMEDY))


class WeightFiles:
    """The weights of a model that is about to be loaded.

    Those of a folder are looked at before transformers does, those of the Hub once they have been fetched.

    Args:
        path: Folder or Hub id; None: weights in hand.
        options: Arguments of `from_pretrained`.

    Raises:
        UserError: If a header in a folder, or the index of several files, is damaged; names the file.
    """

    def __init__(self, path: str | None, options: Mapping[str, Any]):
        self._path, self._options = path, options
        self._found: Weights | None = None
        if path is not None and Path(path).is_dir():
            self._found = read_weights(path, options)

    def read(self) -> Weights | None:
        """Return the tensors that are in them; None where there are no safetensors files.

        Raises:
            UserError: If a header, or the index of several files, is damaged; names the file.
        """
        if self._found is None and self._path is not None:
            self._found = read_weights(self._path, {**self._options, "local_files_only": True})
        return self._found

    def allowance(self) -> Allowance:
        """Return the limits of a model of them."""
        weights = self.read()
        return Allowance.of_machine() if weights is None else weights.allowance


def read_weights(path: str, options: Mapping[str, Any]) -> Weights | None:
    """Read the headers of a model's weights.

    Args:
        path: Folder or Hub id.
        options: Arguments of `from_pretrained`.

    Returns:
        None where there are no safetensors files, as in a folder of adapters.

    Raises:
        UserError: If a header, or the index of several files, is damaged; names the file.
    """
    where = {key: value for key, value in options.items() if key in HUB_OPTIONS}
    if options.get("variant") or options.get("gguf_file"):
        return None
    single = _find(path, SAFE_WEIGHTS_NAME, where)
    if single is not None:
        return _read_headers([single])
    index = _find(path, SAFE_WEIGHTS_INDEX_NAME, where)
    if index is None:
        return None
    names = _shards(index)
    return _read_headers([_found(path, name, where, index) for name in names])


def _find(path: str, name: str, where: Mapping[str, Any]) -> Path | None:
    try:
        found = cached_file(path, name, **where, _raise_exceptions_for_missing_entries=False)
    except OSError:
        raise
    except Exception as error:  # a Hub, or a gateway before it, may answer anything
        raise ModelError(Mistake("", f"{path}: {name} cannot be found: {one_line(error)}", _REMEDY)) from error
    return None if found is None else Path(found)


def _found(path: str, name: str, where: Mapping[str, Any], index: Path) -> Path:
    found = _find(path, name, where)
    if found is None:
        raise damaged(index, f"it names {name}, which is missing", _REMEDY)
    return found


def _shards(index: Path) -> list[str]:
    """Return the files that an index names; they lie beside it."""
    content = read_object(index, _REMEDY)
    for key in ("metadata", "weight_map"):
        if not isinstance(content.get(key), dict):
            raise damaged(index, f"{key} is {kind_of(content.get(key))}", _REMEDY)
    names = list(content["weight_map"].values())
    for name in names:
        if not isinstance(name, str) or not is_inside(name):
            raise damaged(index, f"it names {name!r:.80}, which is no file beside it", _REMEDY)
    if not names:
        raise damaged(index, "it names no files", _REMEDY)
    return sorted(set(names))


def is_inside(name: str) -> bool:
    """Tell whether a file's name, as a manifest or an index spells it, leads to a place in its own folder."""
    path = PurePosixPath(name)
    unusual = "\\" in name or "\0" in name or ":" in name
    return bool(name) and not path.is_absolute() and ".." not in path.parts and not unusual and bool(path.parts)


def _read_headers(files: list[Path]) -> Weights:
    shapes: dict[str, tuple[int, ...]] = {}
    kinds: dict[str, str] = {}
    sources: dict[str, Path] = {}
    for file in files:
        if not file.is_file():  # a pipe would be waited for
            raise damaged(file, "it is no file", _REMEDY)
        try:
            with safe_open(file, framework="pt") as opened:
                for name in opened.keys():  # noqa: SIM118 - not a dictionary
                    part = opened.get_slice(name)  # reads no numbers
                    shapes[name], kinds[name], sources[name] = tuple(part.get_shape()), part.get_dtype(), file
        except (SafetensorError, OSError, ValueError) as error:
            raise damaged(file, one_line(error), _REMEDY) from error
    return Weights(shapes, kinds, sources)
