"""Values of the keys of a task: its source of rows, the filter of its rows, and its metrics."""

import codecs
from collections.abc import Mapping
from difflib import get_close_matches
from encodings.aliases import aliases
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from hf_mtl.shown import hide_secrets
from hf_mtl.tasks.made_columns import FunctionPath, LabelMap, NewNames, Template


class Frozen(BaseModel):
    """A mapping of a recipe that takes no other keys, and whose text shows no secrets."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    def __repr__(self) -> str:
        return hide_secrets(super().__repr__())

    def __str__(self) -> str:
        return hide_secrets(super().__str__())


class RowFilter(Frozen):
    """Keep only the rows whose column passes; exactly one of the conditions is given."""

    column: str = Field(description="Column that the condition looks at.")
    equals: str | int | float | bool | None = Field(None, description="Keep rows with this value.")
    one_of: list[str | int | float | bool] | None = Field(None, description="Keep rows with one of these values.")
    length: int | None = Field(None, ge=0, description="Keep rows whose list column has this many elements.")
    not_blank: Literal[True] | None = Field(None, description="Keep rows whose text is not empty.")


class DatasetSource(Frozen):
    """A source of rows: a Hub id, a local folder or file, or a format with `data_files`."""

    path: str = Field(
        description="Hub id, local folder (also one written by save_to_disk), or a format with data_files: csv, "
        "json, parquet, arrow, text."
    )
    name: str | None = Field(None, description="Configuration of the dataset, as in load_dataset.")
    data_files: (
        str
        | Annotated[list[str], Field(min_length=1)]
        | Annotated[dict[str, str | list[str]], Field(min_length=1)]
        | None
    ) = Field(None, description="Files, or files per split; relative to the recipe that names them.")
    revision: str | None = Field(None, description="Git revision on the Hub.")
    splits: dict[Literal["train", "validation", "test"], str | None] = Field(
        default_factory=dict,
        description="Names that this dataset gives to the splits, where they differ; null leaves a split out.",
    )
    filter: RowFilter | list[RowFilter] | None = Field(None, description="Rows to keep.")
    sep: str | None = Field(
        None, description="Of csv files: the character between fields. Default: a tab in .tsv files, else a comma."
    )
    quoting: Literal["minimal", "none"] = Field(
        "minimal", description="Of csv files: whether double quotes may enclose a field, or are text (none)."
    )
    encoding: str = Field("utf-8", description="Of csv files.")
    header: bool | list[str] = Field(
        True,
        description="Of csv files: whether the first line names the columns (false: they are called 0, 1, ...); "
        "or the names, where no line does.",
    )

    dtype: dict[str, Literal["string", "int", "float", "bool"]] = Field(
        default_factory=dict,
        description="Of csv files: the type of columns of labels or of a filter, where their values do not tell it: "
        "labels that are digits are names of classes as string.",
    )
    missing: dict[str, Annotated[list[str], Field(min_length=1)]] = Field(
        default_factory=dict,
        description="Of csv files: what is no value of a column, as an empty field is none: {score: [n/a, '-']}. "
        "Rows whose label is missing are left out.",
    )
    rename: NewNames = Field(
        default_factory=dict,
        description="New names of columns, by the old ones. First of all: other keys, but dtype and missing, say the "
        "new names.",
    )
    map: dict[str, LabelMap] = Field(
        default_factory=dict,
        description="Labels in place of the values of columns, after the filter: {label: {0: bad, 4: good}}. A value "
        "that is not there is refused; null makes a row one without a label.",
    )
    concat: dict[str, Template] = Field(
        default_factory=dict,
        description="New columns of text, after map: templates with columns in braces, "
        "{text: '{title}. {body}'}. A brace that is text is written twice.",
    )
    function: FunctionPath | None = Field(
        None,
        description="A Python function by its dotted path (package.module.name), after all others; only with "
        "--allow-code. It is given each row and returns the row, None to leave it out, or a list of rows.",
    )

    @field_validator("sep")
    @classmethod
    def _one_character(cls, value: str | None) -> str | None:
        value = "\t" if value in ("\\t", "tab") else value  # as YAML reads '\t', and a word for it
        if value is not None and (len(value) != 1 or value in '"\r\n'):
            raise ValueError("one character, such as ';' or '|', or tab")
        return value

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            codecs.lookup(value)
        except LookupError:
            near = get_close_matches(value.lower(), sorted({*aliases.values(), *aliases}), n=1, cutoff=0.6)
            hint = f"; did you mean '{near[0]}'" if near else ""
            raise ValueError(f"an encoding that Python knows, such as utf-8, cp1252 or latin-1{hint}") from None
        return value

    @field_validator("header")
    @classmethod
    def _named_once(cls, value: bool | list[str]) -> bool | list[str]:
        if isinstance(value, list) and (not value or len(set(value)) < len(value)):
            raise ValueError("true, false, or a list of different column names")
        return value


class MetricSpec(Frozen):
    """A metric with options; a plain name in a recipe means the same without options."""

    name: str = Field(
        description="A metric of hf_mtl, an id of `evaluate`; or, with --allow-code, a script (its path is relative "
        "to the recipe) or a Hub user's metric."
    )
    labels: list[str | int] | None = Field(None, description="Classes that the metric averages over (f1 only).")
    greater_is_better: bool | None = Field(None, description="Needed for `evaluate` ids; known for the others.")

    @property
    def is_script(self) -> bool:
        """Say whether the name is a path on this machine, and no id."""
        shaped = self.name.endswith(".py") or self.name.startswith(("/", ".", "~")) or "\\" in self.name
        slashes = self.name.count("/")
        return shaped or slashes > 1 or (slashes == 1 and Path(self.name).exists())

    @property
    def is_bare_script(self) -> bool:
        """Say whether the name is that of a script without its place, as a model's config keeps it."""
        return self.name.endswith(".py") and PurePath(self.name).name == self.name


def without_paths(task: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a task as JSON whose metrics keep of a script's path its name alone: the path means nothing to others.

    Args:
        task: As `Task.for_config` gives it.
    """
    metrics = [dict(item) for item in task.get("metrics", ()) if isinstance(item, Mapping)]
    for item in metrics:
        if isinstance(item.get("name"), str) and MetricSpec(name=item["name"]).is_script:
            item["name"] = f"{PurePath(item['name']).stem}.py"
    return {**task, "metrics": metrics} if len(metrics) == len(task.get("metrics", ())) > 0 else dict(task)
