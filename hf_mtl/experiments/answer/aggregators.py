"""The gradient aggregator of an arm: as its runs have recorded it, or else as far as the study's file says it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hf_mtl.experiments.results import Record

_KEY = "aggregator"


def aggregator_of(records: Iterable[Record], said: str | None) -> str | None:
    """Return the aggregator of an arm.

    Args:
        records: The records of its runs, which tell it; those of earlier versions do not.
        said: What the study's file says.

    Returns:
        Its name; None where the arm has none, or it is not known.
    """
    known = [record[_KEY] for record in records if _KEY in record]
    return known[-1] if known else said


def aggregators_in(said: Mapping[str, Any]) -> dict[str, str]:
    """Read the aggregators of a study's arms from its file; those of its base and of other files are not in it.

    Args:
        said: What the file says.
    """
    arms = said.get("arms")
    if not isinstance(arms, Mapping):
        return {}
    found = {str(name): _first(keys, said.get("set")) for name, keys in arms.items()}
    return {name: value for name, value in found.items() if value is not None}


def _first(*layers: Any) -> str | None:
    """Return what the first of some layers of keys says that says anything, be it that there is none."""
    for layer in layers:
        for value in _values(layer, "balancing", _KEY, "name"):
            return None if value is None else str(value)
    return None


def _values(layer: Any, *path: str) -> Iterator[Any]:
    """Give what stands in a layer under a path of keys, dotted or nested; a name alone stands for what has one."""
    if not path or (path == ("name",) and not isinstance(layer, Mapping)):
        yield layer
    elif isinstance(layer, Mapping):
        for length in range(1, len(path) + 1):
            key = ".".join(path[:length])
            if key in layer:
                yield from _values(layer[key], *path[length:])
