"""What a model card is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from hf_mtl.data.readers import READERS
from hf_mtl.data.sources import GENERATORS
from hf_mtl.errors import Mistake, RunError, known
from hf_mtl.tasks import DatasetSource, Task

_GIVEN = ("language", "license", "tags", "base_model", "datasets")
MADE_HERE = "hf_mtl/"
"""How the names of data begin that hf_mtl makes itself."""

Scores = Mapping[str, Mapping[str, float | None]]
"""By task the scores by metric."""


@dataclass(frozen=True)
class Source:
    """A dataset that rows of a task come from.

    Args:
        words: As a reader knows it; without places on anybody's machine.
        hub_id: Its id on the Hub; None: it is not there.
        config: Its configuration.
        revision: Its revision, as the recipe names it.
        splits: Its own names of the splits, where they differ.
    """

    words: str
    hub_id: str | None = None
    config: str | None = None
    revision: str | None = None
    splits: Mapping[str, str | None] = field(default_factory=dict)

    @classmethod
    def of(cls, source: DatasetSource) -> "Source":
        """Read it off a recipe whose paths are absolute."""
        if source.path in READERS:
            return cls(f"local files ({source.path})")
        if PurePath(source.path).is_absolute():
            return cls("a local folder")
        words = source.path if source.name is None else f"{source.path}, {source.name}"
        if source.path.startswith(MADE_HERE):
            return cls(f"{words} (made by hf_mtl)")
        if source.path in GENERATORS:
            return cls(f"{words} (made by a plugin)")
        return cls(
            words,
            source.path,
            source.name,
            source.revision,
            {str(ours): theirs for ours, theirs in source.splits.items()},
        )


def sources_of(task: Task) -> list[Source]:
    """Return the datasets of a task, as its recipe names them; none where its rows were given in Python."""
    if task.dataset is None:
        return []
    listed = task.dataset if isinstance(task.dataset, list) else [task.dataset]
    found: dict[str, Source] = {}
    for source in map(Source.of, listed):
        found.setdefault(source.words, source)
    return list(found.values())


@dataclass(frozen=True)
class CardFacts:
    """All that a card says; what is not known is left out of it.

    Args:
        name: The repository, ``owner/name``, as `from_pretrained` takes it.
        tasks: The tasks by name, with what their outputs are called.
        recipe: The sections of the recipe, as plain values without places on anybody's machine. A run in Python has
            ``model``, ``mixture``, ``balancing``, ``schedules`` and ``training`` of it.
        recipe_text: The same in one file, if it can be run as it is.
        results: As in ``results.json``.
        sources: The datasets of each task.
        rows: Rows by task and split.
        log: The records of the run's log.
        machine: ``hardware``, in words; ``processes``; ``versions`` by package.
        single: Scores of runs with one task alone, by split, then by task.
        licences: What a dataset of the Hub says of its licence, by its id.
        has_page: Whether the backbone is a model of the Hub.
        heads_only: The backbone, in words, where the files hold the heads alone.
        peft: The adapters that the model has, as its config says; None: it has none.
        picture: Whether ``figures/training.png`` lies beside the card.
        language: Languages of the texts, as who pushes says.
        license: The model's licence, as who pushes says.
        tags: Tags beside those that every card has.
        base_model: The backbone's id on the Hub, where the recipe does not say it.
        datasets: Datasets of the Hub beside those of the recipe.
    """

    name: str
    tasks: Mapping[str, Task]
    recipe: Mapping[str, Any] = field(default_factory=dict)
    recipe_text: str = ""
    results: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, Sequence[Source]] = field(default_factory=dict)
    rows: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    log: Sequence[Mapping[str, Any]] = ()
    machine: Mapping[str, Any] = field(default_factory=dict)
    single: Mapping[str, Scores] = field(default_factory=dict)
    licences: Mapping[str, str] = field(default_factory=dict)
    has_page: bool = False
    heads_only: str | None = None
    peft: Mapping[str, Any] | str | None = None
    picture: bool = False
    language: str | list[str] | None = None
    license: str | None = None
    tags: Sequence[str] = ()
    base_model: str | None = None
    datasets: Sequence[str] = ()

    @classmethod
    def given(cls, card: Mapping[str, Any]) -> dict[str, Any]:
        """Read what who pushes says beside what is known.

        Raises:
            RunError: If there is no such thing in a card; all mistakes at once.
        """
        remedy = known(_GIVEN, next(iter(set(card) - set(_GIVEN)), ""))
        if mistakes := [Mistake(name, "is nothing that a card has", remedy) for name in card if name not in _GIVEN]:
            raise RunError(mistakes)
        lists = ("tags", "datasets")
        return {
            name: [value] if name in lists and isinstance(value, str) else value
            for name, value in card.items()
            if value is not None
        }

    @property
    def scored(self) -> list[tuple[str, Mapping[str, Any]]]:
        """The splits that were scored, with their results."""
        found = [(self.results.get("split", "validation"), self.results)] if self.results.get("tasks") else []
        test = self.results.get("test")
        return [*found, *([("test", test)] if test else [])]

    @property
    def backbone(self) -> str | None:
        """The pretrained model's name, where it has one that others know it by."""
        found = self.base_model or self.recipe.get("model", {}).get("backbone")
        return found if isinstance(found, str) else None
