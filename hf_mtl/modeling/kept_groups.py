"""Heads of a trained model that share layers or have parameters for each other, of which some are taken over."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hf_mtl.errors import Mistake
from hf_mtl.modeling.choices import head_groups, head_specs, tasks_by_head
from hf_mtl.modeling.configuration import MultiTaskConfig
from hf_mtl.modeling.going_on import DROP
from hf_mtl.modeling.heads import Head, head_class


@dataclass(frozen=True)
class Group:
    """Heads of equal specification.

    Args:
        number: The place of the group in `head_groups`.
        kind: The class of the heads.
        heads: The tasks of each head.
    """

    number: int
    kind: type[Head]
    heads: list[list[str]]

    def kept(self, names: Mapping[str, str]) -> list[str]:
        """Return the heads that are taken over, in the order of their names here, each by its new name.

        A head that tasks share goes by the first of them that is taken over.

        Args:
            names: The new names of the tasks that are taken over, by those here.
        """
        there = [[names[task] for task in tasks if task in names] for tasks in sorted(self.heads)]
        return [tasks[0] for tasks in there if tasks]


def groups_of(config: MultiTaskConfig) -> list[Group]:
    """Return the groups of heads of a model."""
    specs, sharers = head_specs(config), {tasks[0]: tasks for tasks in tasks_by_head(config)}
    return [
        Group(number, head_class(specs[names[0]]), [sharers[name] for name in names])
        for number, names in enumerate(head_groups(config))
    ]


def moved_peers(config: MultiTaskConfig, names: Mapping[str, str]) -> Iterator[Mistake]:
    """Find heads with parameters for each other, by the order of their names, that get names of another order.

    Args:
        config: The config of the trained model.
        names: The new names of its tasks, by those there.
    """
    for kind, kept in _moved(config, names):
        problem = f"'{kind.name}' heads have parameters for each other in the order of the names"
        remedy = "Give new names in the same order"
        yield Mistake("rename", f"{problem}, which {', '.join(kept)} would change", remedy)


def dropped_peers(config: MultiTaskConfig, names: Mapping[str, str]) -> Iterator[Mistake]:
    """Find heads with parameters for each other of which some are kept and some are not, or that change places.

    Args:
        config: The config of the trained model.
        names: The tasks that are kept, by their names there.
    """
    for group in groups_of(config):
        dropped = [tasks for tasks in group.heads if not any(task in names for task in tasks)]
        if group.kind.knows_peers and 0 < len(dropped) < len(group.heads):
            out, everyone = (", ".join(task for tasks in some for task in tasks) for some in (dropped, group.heads))
            problem = f"leaves out {out}, and the '{group.kind.name}' heads of {everyone}"
            yield Mistake(DROP, f"{problem} have parameters for each other", "Keep all of them, or none")
    for kind, kept in _moved(config, names):
        problem = f"'{kind.name}' heads have parameters for each other in the order of the names of their first tasks"
        yield Mistake(DROP, f"{problem}, and without these it is {', '.join(sorted(kept))}", "Keep all of them")


def _moved(config: MultiTaskConfig, names: Mapping[str, str]) -> Iterator[tuple[type[Head], list[str]]]:
    for group in groups_of(config):
        kept = group.kept(names)
        if group.kind.knows_peers and kept != sorted(kept):
            yield group.kind, kept
