"""Values of the keys of a dataset that make columns: new names, labels, templates and functions."""

import re
from collections.abc import Mapping
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field

from hf_mtl.tasks.templates import parse_template

LabelValue: TypeAlias = str | int | float | bool | None
"""A value that a map of labels gives; None: the row has no label there."""

_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*[.:][^\W\d]\w*")


def _different(names: dict[str, str]) -> dict[str, str]:
    new = list(names.values())
    if again := next((name for name in new if new.count(name) > 1), None):
        raise ValueError(f"a name of its own for every column; '{again}' is given twice")
    return names


def _as_keys(labels: object) -> object:
    """Write values of a column as a recipe does, where Python has 0 or True for them."""
    return {_as_key(value): label for value, label in labels.items()} if isinstance(labels, Mapping) else labels


def _as_key(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, float)) else value


def _one_kind(labels: dict[str, LabelValue]) -> dict[str, LabelValue]:
    kinds = {_kind(label) for label in labels.values() if label is not None}
    if len(kinds) > 1:
        raise ValueError(f"labels of one kind, and these are {' and '.join(sorted(kinds))}")
    return labels


def _kind(label: LabelValue) -> str:
    if isinstance(label, bool):
        return "booleans"
    return "texts" if isinstance(label, str) else "numbers"


def _fillable(template: str) -> str:
    parse_template(template)
    return template


def _is_dotted(path: str) -> str:
    if not _DOTTED.fullmatch(path):
        raise ValueError("the dotted path of a function, such as my_package.rows.clean")
    return path


NewNames: TypeAlias = Annotated[dict[str, str], AfterValidator(_different)]
"""New names of columns, by the old ones."""

LabelMap: TypeAlias = Annotated[
    dict[str, LabelValue], Field(min_length=1), BeforeValidator(_as_keys), AfterValidator(_one_kind)
]
"""The label of each value of a column; the values as a recipe writes them."""

Template: TypeAlias = Annotated[str, AfterValidator(_fillable)]
"""Words, and columns in braces."""

FunctionPath: TypeAlias = Annotated[str, AfterValidator(_is_dotted)]
"""``package.module.name`` or ``package.module:name``."""
