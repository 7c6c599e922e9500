"""Whether a task can go on from the head of a trained task of the same name."""

from collections.abc import Iterator, Mapping

from hf_mtl.errors import Mistake
from hf_mtl.modeling.heads import HeadSpec, head_class, head_mistakes, settled_options
from hf_mtl.tasks import Task
from hf_mtl.tasks.head_shares import SHARE, share_of, without_share

DROP = "model.drop_tasks"


def disagreements(name: str, task: Task, before: Task, head: HeadSpec) -> Iterator[Mistake]:
    """Find what keeps a task from going on from the head of a task of the same name.

    Args:
        name: The name.
        task: The task as it is asked for, resolved.
        before: The task that the head was trained on.
        head: The head.
    """
    key = f"tasks.{name}"
    drop = f"or have a new head: {DROP}: [{name}]"
    if task.type != before.type:
        problem = f"is {task.type}, and the task that is kept is {before.type}"
        yield Mistake(f"{key}.type", problem, f"Give that type, {drop}")
        return
    if list(task.unknown_outputs(name)):
        return  # said when the config is checked
    yield from _other_outputs(name, task, before, drop)
    said = without_share(task.head)
    if said is not None and (wrong := head_mistakes(said, key=f"{key}.head")):
        yield from wrong
    elif task.head is not None and not _same_head(task.head, head):
        shared = "" if (share := share_of(head)) is None else f", which has {{share: {share}}}"
        problem = f"is another than that of the task that is kept{shared}"
        yield Mistake(f"{key}.head", problem, f"Leave it out, {drop}")
    one, other = task.new_statistics(), before.new_statistics()
    if task.real_valued and (type(one) is not type(other) or one.told != other.told):
        problem = "brings targets to other units than those of the head that is kept"
        remedy = "Give standardize and range as the run has them"
        yield Mistake(f"{key}.{task.outputs_key}", problem, f"{remedy}, {drop}")


def _other_outputs(name: str, task: Task, before: Task, drop: str) -> Iterator[Mistake]:
    """Compare the names of classes, which must be the same, or of targets, which must not change places."""
    key, classes = f"tasks.{name}.{task.outputs_key}", before.label_names is not None
    mine, theirs = (item.label_names or item.output_names for item in (task, before))
    moved = [label for place, label in enumerate(mine) if label in theirs and theirs.index(label) != place]
    same = mine == theirs if classes else len(mine) == len(theirs) and not moved
    if not same:
        problem = f"are {', '.join(mine)}, and those of the task that is kept are {', '.join(theirs)}"
        yield Mistake(key, problem, f"Give these, in this order, {drop}")


def _same_head(given: HeadSpec, kept: HeadSpec) -> bool:
    """Tell whether two heads without mistakes are the same; options that one does not name are those of the kept."""
    if isinstance(given, Mapping) and SHARE in given and share_of(given) != share_of(kept):
        return False
    said, was = without_share(given), without_share(kept)
    assert was is not None
    if said is None:
        return True
    if head_class(said) is not head_class(was):
        return False
    mine, theirs = settled_options(said), settled_options(was)
    asked = [] if isinstance(said, str) else [key for key in said if key != "type"]
    return all(mine[key] == theirs[key] for key in asked)
