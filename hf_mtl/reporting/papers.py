"""Index of papers: the methods that implement each, and the recipes that use these."""

import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hf_mtl.balancing import AGGREGATORS, WEIGHTINGS, available
from hf_mtl.data.learners.base import LEARNERS
from hf_mtl.errors import RecipeError
from hf_mtl.modeling.heads import HEADS
from hf_mtl.recipe.yaml_source import read_yaml
from hf_mtl.reporting.markdown import table
from hf_mtl.schedules import SCHEDULES

Method = tuple[str, str]
"""A key of a recipe, and the name that stands there."""

_ID = re.compile(r"arXiv:\d+\.\d+|OpenReview \w+")
# A citation ends with its identifier, else with its title, else with the sentence.
_ENDS = (re.compile(rf"^.*?(?:{_ID.pattern})\)?"), re.compile(r'^.*?"[^"]+"'), re.compile(r"^.*?(?=\. [A-Z]|\.?$)"))
_PART_OF = re.compile(r"^[^\"]*? of (?=\w+(?: \w+)? et al\.)")  # "UW-O of Kirchdorfer et al."
_TITLE = re.compile(r'"([^"]+)"')


def paper_index(folder: Path) -> str:
    """Lay out papers, the methods that are theirs and the recipes that use these as a Markdown table.

    Args:
        folder: Where the recipes are; links are relative to it.
    """
    found: dict[str, tuple[str, list[Method]]] = {}
    for method, cls in methods():
        citation = citation_of(cls)
        if citation is not None:
            found.setdefault(_key(citation), (citation, []))[1].append(method)
    recipes = _recipes_by_method(folder)
    rows = []
    for citation, theirs in sorted(found.values(), key=lambda item: item[0].casefold()):
        links = dict.fromkeys(link for method in theirs for link in recipes.get(method, ()))
        rows.append([_linked(citation), ", ".join(f"`{key}: {name}`" for key, name in theirs), ", ".join(links)])
    return table([["paper", "method", "recipes"], *rows])


def methods() -> Iterator[tuple[Method, type]]:
    """List what a recipe chooses by name, with its class."""
    for name in HEADS.names():
        yield ("head", name), HEADS[name]
    for name in LEARNERS.names():
        yield ("mixture.learn", name), LEARNERS[name]
    for name, family in sorted(available().items()):
        yield (family, name), WEIGHTINGS[name] if family == "weighting" else AGGREGATORS[name]
    for name in SCHEDULES.names():
        yield ("schedules", name), SCHEDULES[name]


def citation_of(cls: type) -> str | None:
    """Read the paper of a class from the Source paragraph of its docstring; None where it has none."""
    _, _, source = inspect.cleandoc(cls.__doc__ or "").partition("\nSource: ")
    text = " ".join(source.partition("\n\n")[0].partition(";")[0].split())
    if not text or "hf_mtl definition" in text:
        return None
    found = next(filter(None, (end.match(text) for end in _ENDS)))
    return _PART_OF.sub("", found[0])


def methods_used(recipe: Mapping[str, Any]) -> set[Method]:
    """List the methods that a recipe file names itself, whatever it inherits."""
    tasks = (recipe.get("tasks") or {}).values()
    heads = [section.get("head") for section in (recipe.get("model") or {}, *filter(None, tasks))]
    balancing = recipe.get("balancing") or {}
    found = {("head", _name(head, "type")) for head in heads}
    found |= {(family, _name(balancing.get(family), "name")) for family in ("weighting", "aggregator")}
    found |= {("schedules", _name(item, "type")) for item in recipe.get("schedules") or []}
    learn = (recipe.get("mixture") or {}).get("learn")
    if learn is not None:
        found.add(("mixture.learn", _learner(learn)))
    return {(key, name) for key, name in found if name}


def _recipes_by_method(folder: Path) -> dict[Method, list[str]]:
    found: dict[Method, list[str]] = {}
    for path in sorted(folder.rglob("*.yaml")):
        try:
            recipe = read_yaml(path, []).plain()
        except RecipeError:
            continue  # whoever trains it is told
        place = path.relative_to(folder).as_posix()
        for method in methods_used(recipe if isinstance(recipe, dict) else {}):
            found.setdefault(method, []).append(f"[{place}]({place})")
    return found


def _learner(learn: Any) -> str:
    """Return the name of a learner: its type, an objective of that name, or else the default."""
    objective = learn.get("objective") if isinstance(learn, Mapping) else None
    return _name(learn, LEARNERS.field) or (objective if objective in LEARNERS.names() else LEARNERS.default)


def _name(value: Any, field: str) -> str:
    """Return the name of what is chosen by its name alone or in a mapping with its options; empty where nothing
    is.
    """
    return str(value.get(field, "")) if isinstance(value, Mapping) else str(value or "")


def _key(citation: str) -> str:
    """Return what two citations of one paper have in common."""
    found = _ID.search(citation) or _TITLE.search(citation)
    return citation if found is None else found[0]


def _linked(citation: str) -> str:
    return re.sub(r"arXiv:(\d+\.\d+)", r"[arXiv:\1](https://arxiv.org/abs/\1)", citation)
