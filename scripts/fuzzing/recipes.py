"""Mutated recipes: loaded, their training arguments made, and all that is checked before data is looked at."""

import copy
import json
import os
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from mutations import hostile, mutate_bytes, mutate_tree

from hf_mtl.balancing import AGGREGATORS, WEIGHTINGS, GradientOptions
from hf_mtl.data import mixture
from hf_mtl.data.section import Spec as DataSpec
from hf_mtl.errors import UserError
from hf_mtl.modeling.heads import HEADS
from hf_mtl.modeling.peft_options import adapter_section
from hf_mtl.plain import dump_yaml
from hf_mtl.recipe import load_recipe, sections
from hf_mtl.recipe.nodes import Origin
from hf_mtl.recipe.yaml_source import parse_yaml
from hf_mtl.schedules import SCHEDULES
from hf_mtl.tasks import task_types
from hf_mtl.training.run.prepare import make_arguments

_LONGEST_MESSAGE = 200_000  # characters
_ROOT = Path(__file__).parents[2]


class Recipes:
    """The shipped recipes and a rich one, mutated as text, as trees and on the command line.

    Args:
        folder: Gets a copy of the recipes, so that those they extend are found.
    """

    count = 100_000

    def __init__(self, folder: Path):
        shutil.copytree(_ROOT / "recipes", folder / "recipes")
        shutil.copy(Path(__file__).with_name("rich.yaml"), folder / "recipes")
        self._files = sorted(file for file in (folder / "recipes").rglob("*.yaml") if file.name != "study.yaml")
        self._texts = {file: file.read_bytes() for file in self._files}
        self._trees = {file: _tree(text) for file, text in self._texts.items()}
        self._options = _options()
        self._ends: Counter[str] = Counter()
        os.chdir(folder)

    def draw(self, draw: random.Random) -> bytes:
        """Return a first line that names a recipe and a command line, and a mutated recipe."""
        file = draw.choice(self._files)
        kind = draw.randrange(4)
        text = self._texts[file]
        if kind == 0:
            text = mutate_bytes(text, list(self._texts.values()), draw)
        elif kind < 3:
            text = self._mutated_tree(file, draw)
        overrides = self._overrides(file, draw) if kind == 3 or not draw.randrange(8) else []
        return json.dumps([str(file.name), overrides]).encode() + b"\n" + text

    def attempt(self, data: bytes) -> None:
        """Load a recipe and make its training arguments."""
        first, _, text = data.partition(b"\n")
        try:
            name, overrides = json.loads(first)
        except ValueError:  # while shrinking
            return
        place = next(file for file in self._files if file.name == name).with_name("mutated.yaml")
        place.write_bytes(text)
        environment = dict(os.environ)
        try:
            recipe = load_recipe(place, overrides)
            make_arguments(recipe)
            self._ends["taken"] += 1
        except UserError as error:
            self._ends["refused"] += 1
            if len(str(error)) > _LONGEST_MESSAGE:
                raise RuntimeError("a message that nobody reads") from error
            raise
        finally:
            os.environ.clear()  # arguments for accelerate set variables
            os.environ.update(environment)

    def summary(self) -> str:
        """Say how many were taken and how many refused."""
        return ", ".join(f"{count:,} {end}" for end, count in sorted(self._ends.items()))

    def _mutated_tree(self, file: Path, draw: random.Random) -> bytes:
        tree = copy.deepcopy(self._trees[file])
        if draw.randrange(2):
            self._set_option(tree, draw)
        tree = mutate_tree(tree, [*self._trees.values()], draw) if draw.randrange(4) else tree
        try:
            return dump_yaml(tree).encode("utf-8", "surrogatepass")
        except RecursionError:
            return b""

    def _set_option(self, tree: dict[str, Any], draw: random.Random) -> None:
        """Give an option of some component a value that it may not expect."""
        path, name_field, name, option = draw.choice(self._options)
        *above, last = path
        for key in above:
            tree = tree.setdefault(key, {}) if isinstance(tree, dict) else {}
            tree = next(iter(tree.values()), {}) if key == "tasks" else tree
        if not isinstance(tree, dict):
            return
        value: dict[str, Any] = {**({name_field: name} if name_field else {}), option: hostile(draw)}
        if last == "schedules":
            tree[last] = [value]
        elif name_field in ("", "task") and isinstance(tree.get(last), dict):
            tree[last].update(value)
        else:
            tree[last] = value

    def _overrides(self, file: Path, draw: random.Random) -> list[str]:
        overrides = []
        for _ in range(draw.choice((1, 1, 2))):
            path, _, _, option = draw.choice(self._options)
            key = (
                ".".join([*path, option])
                if draw.randrange(4)
                else draw.choice(("", "a", "tasks.0", "." * 9, "a." * 300))
            )
            value = hostile(draw)
            text = json.dumps(value) if draw.randrange(2) else str(value)
            if not draw.randrange(8):
                text = draw.choice(("[" * 3000, "&a [*a]", "{a: *b}", "'", "!!int x", "? a", "[" * 90 + "]" * 90))
            overrides.append(f"{key}{draw.choice(('=', '=', '=', ''))}{text}")
        return overrides


def inputs(folder: Path) -> Recipes:
    """Return this kind of inputs."""
    return Recipes(folder)


def _tree(text: bytes) -> dict[str, Any]:
    tree: dict[str, Any] = parse_yaml(text.decode(), Origin("recipe", "/"), []).plain()
    return tree


def _options() -> list[tuple[tuple[str, ...], str, str, str]]:
    """Yield the path of a component, the key of its name, its name, and one of its options."""
    found: list[tuple[tuple[str, ...], str, str, Any]] = [
        (("training",), "", "", sections.training_section()),
        (("training",), "", "", sections.training_section()),
        (("data",), "", "", DataSpec),
        (("mixture",), "", "", mixture.section()),
        (("model", "tokenizer"), "train", "wordpiece", sections.tokenizer_section()),
        (("model", "peft"), "type", "lora", adapter_section("lora")),
        (("model", "peft"), "type", "ia3", adapter_section("ia3")),
        (("balancing", "gradients"), "", "", GradientOptions),
    ]
    for kind in (HEADS, SCHEDULES, WEIGHTINGS, AGGREGATORS):
        found += [(tuple(kind.key.split(".")), kind.field, name, kind.options(name)) for name in kind.names()]
    found += [(("tasks", "task"), "", "", task) for task in task_types().values() for _ in range(4)]
    return [
        (path, field, name, option)
        for path, field, name, section in found
        for option in section.model_fields
        if option != field
    ]
