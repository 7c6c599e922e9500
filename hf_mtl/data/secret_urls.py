"""URLs with a password or a token in them: a run's recipe, messages and caches would keep it."""

from collections.abc import Iterator, Mapping
from typing import Any

from hf_mtl.errors import Mistake
from hf_mtl.shown import holds_secret
from hf_mtl.tasks import DatasetSource

_REMEDY = (
    "Name the file without it, and log in otherwise: ~/.netrc for https, HF_TOKEN for the Hub, the variables of a "
    "storage for the rest (AWS_ACCESS_KEY_ID and so on); or download the file"
)


def secret_mistakes(source: DatasetSource, key: str) -> list[Mistake]:
    """Find the URLs of a source that must not be written down.

    Args:
        source: Where rows come from.
        key: Recipe key of the source.
    """
    named = {"path": source.path, "data_files": source.data_files, "revision": source.revision}
    return [
        Mistake(f"{key}.{field}", f"'{text}' has a password or a token in it, which recipe.yaml would keep", _REMEDY)
        for field, value in named.items()
        for text in _texts(value)
        if holds_secret(text)
    ]


def _texts(value: Any) -> Iterator[str]:
    """Yield every text of a value as data_files have it: a text, a list, or a mapping of these."""
    if isinstance(value, str):
        yield value
    for item in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _texts(item)
