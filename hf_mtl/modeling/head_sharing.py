"""Checks of what tasks must have in common to share a head."""

from collections.abc import Iterator, Mapping

from hf_mtl.errors import Mistake
from hf_mtl.modeling.heads import HeadSpec, head_class, head_mistakes, settled_options
from hf_mtl.tasks import Task
from hf_mtl.tasks.head_shares import SHARE, share_of, shares_of, without_share

_TOGETHER = "Tasks that share a head have the same type, and the same labels in the same order."
_ONCE = "Say it in one of them, or alike; the others write {{share: {}}}."


def share_mistakes(tasks: Mapping[str, Task]) -> Iterator[Mistake]:
    """Find tasks that cannot have the head in common that they name.

    Args:
        tasks: The tasks by name. Labels are compared where they are known.
    """
    for name, task in tasks.items():
        if isinstance(task.head, Mapping) and SHARE in task.head and share_of(task.head) is None:
            remedy = "Allowed: a name, the same for all tasks that share the head."
            yield Mistake(f"tasks.{name}.head.{SHARE}", f"found {task.head[SHARE]!r:.60}", remedy)
    for share, names in shares_of(tasks).items():
        for name in names[1:]:
            yield from _unlike(name, names[0], share, tasks)
        says = [name for name in names if without_share(tasks[name].head) is not None]
        for name in says[1:]:
            yield from _other_head(name, says[0], share, tasks)
        rated = [name for name in names if tasks[name].head_learning_rate is not None]
        for name in rated[1:]:
            yield from _other_rate(name, rated[0], share, tasks)


def _unlike(name: str, first: str, share: str, tasks: Mapping[str, Task]) -> Iterator[Mistake]:
    """Find what two tasks differ in that their head has to fit."""
    here, there = tasks[name], tasks[first]
    known = not (list(here.unknown_outputs(name)) or list(there.unknown_outputs(first)))
    pairs: dict[str, tuple[object, object]] = {"types": (here.type, there.type)}
    if known and here.type == there.type:
        pairs["labels"] = (here.label_names, there.label_names)
        pairs["numbers of outputs"] = (here.num_outputs, there.num_outputs)
    for what, (mine, theirs) in pairs.items():
        if mine != theirs:
            problem = f"'{name}' shares '{share}' with '{first}', and their {what} differ: {mine} and {theirs}"
            yield Mistake(f"tasks.{name}.head.{SHARE}", problem, _TOGETHER)
            return


def _other_head(name: str, first: str, share: str, tasks: Mapping[str, Task]) -> Iterator[Mistake]:
    """Find what two tasks say otherwise of their head; a head with mistakes of its own is told of elsewhere."""
    mine, theirs = _said(tasks[name]), _said(tasks[first])
    if head_mistakes(mine) or head_mistakes(theirs):
        return
    key, beside = f"tasks.{name}.head", f"and '{first}', which shares it as '{share}', has"
    kinds = head_class(mine).name, head_class(theirs).name
    if kinds[0] != kinds[1]:
        yield Mistake(key, f"is '{kinds[0]}', {beside} '{kinds[1]}'", _ONCE.format(share))
        return
    ours, others = settled_options(mine), settled_options(theirs)
    for option in ours:
        if ours[option] != others[option]:
            problem = f"is {ours[option]!r}, {beside} {others[option]!r}"
            yield Mistake(f"{key}.{option}", problem, _ONCE.format(share))


def _said(task: Task) -> HeadSpec:
    said = without_share(task.head)
    assert said is not None
    return said


def _other_rate(name: str, first: str, share: str, tasks: Mapping[str, Task]) -> Iterator[Mistake]:
    """Find two learning rates of one head."""
    mine, theirs = tasks[name].head_learning_rate, tasks[first].head_learning_rate
    if mine != theirs:
        problem = f"is {mine}, and '{first}', which shares head '{share}', has {theirs}"
        yield Mistake(f"tasks.{name}.head_learning_rate", problem, "Say it in one of them, or alike.")
