"""No room asks what class a task is: the types are named in their own folder alone."""

import ast
from pathlib import Path

import pytest

import hf_mtl
from hf_mtl.tasks import task_types

PACKAGE = Path(hf_mtl.__file__).parent
# A draft is a recipe, which names types as its author does.
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.parent.name not in ("task_types", "drafting")]
CLASSES = {kind.__name__ for kind in task_types().values()}
NAMES = set(task_types())
# The family of a likelihood is called so too: a fact of every task, and an option of methods that scale losses by it.
FAMILY = {
    "tasks/learning.py",
    "balancing/weightings/uw.py",
    "modeling/heads/vip.py",
    "experiments/affinity/links.py",
}
# Where type checkers look for what `from hf_mtl import ...` finds.
FACES = {"__init__.py"}


def found_in(tree: ast.AST) -> set[str]:
    """What a module asks of a task's class, or names of the types."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.alias):
            name = node.id if isinstance(node, ast.Name) else node.name
            found |= {name} & {*CLASSES, "singledispatch", "singledispatchmethod"}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= {node.value} & NAMES
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found |= {"task.kind"} if (node.value.id, node.attr) == ("task", "kind") else set()
    return found


def test_no_module_names_a_type_or_its_class() -> None:
    offences = {}
    for path in FILES:
        place = str(path.relative_to(PACKAGE))
        allowed = CLASSES if place in FACES else {"regression"} if place in FAMILY else set()
        if found := found_in(ast.parse(path.read_text())) - allowed:
            offences[place] = found
    assert offences == {}


@pytest.mark.parametrize(
    "text",
    [
        "isinstance(task, SequenceClassification)",
        "from functools import singledispatch",
        "task.kind == 'classes'",
        "TABLE = {'sequence_classification': 1}",
    ],
)
def test_what_must_not_be_there_would_be_found(text: str) -> None:
    assert found_in(ast.parse(text))


def test_a_type_has_a_file_and_a_test_of_its_name_and_is_found_at_the_top() -> None:
    for name, kind in task_types().items():
        assert (PACKAGE / "task_types" / f"{name}.py").is_file()
        assert (Path(__file__).parent / f"test_{name}.py").is_file()
        assert getattr(hf_mtl, kind.__name__) is kind
        assert kind.__name__ in hf_mtl.__all__
