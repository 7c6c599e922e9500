"""Tasks that a model takes over from a trained one: their heads, and all that the trained model knows of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor
from transformers import PreTrainedConfig

from hf_mtl.errors import Mistake, ModelError, known
from hf_mtl.modeling.choices import head_groups, head_specs
from hf_mtl.modeling.configuration import MultiTaskConfig
from hf_mtl.modeling.going_on import DROP, disagreements
from hf_mtl.modeling.heads import HeadSpec, head_dropout, settled_options
from hf_mtl.modeling.kept_groups import dropped_peers, groups_of
from hf_mtl.modeling.task_heads import TaskHeads, module_key, share_key, shared_key
from hf_mtl.tasks import Task
from hf_mtl.tasks.head_shares import share_of, with_share

KEEP = "model.keep_tasks"
_OF_TRAINING = "head_learning_rate"  # a key of a task that means nothing where it is not trained


@dataclass(frozen=True)
class Keep:
    """A wish to keep the tasks of a trained model.

    Args:
        drop: Those that are not kept.
    """

    drop: tuple[str, ...] = ()

    def of(self, found: PreTrainedConfig, has_weights: bool = True) -> "Taken":
        """Choose the tasks that are kept.

        Args:
            found: The config of the backbone.
            has_weights: Whether there are weights beside it.

        Raises:
            ModelError: If there are no tasks with heads, none would be left, or one to drop is unknown.
        """
        if not isinstance(found, MultiTaskConfig) or not has_weights:
            problem = f"the backbone, '{found.model_type}', has no heads to keep"
            remedy = "Name the folder or the Hub id of a model of hf_mtl, such as a run's folder, or leave it out"
            raise ModelError(Mistake(KEEP, problem, remedy))
        names = list(found.tasks or ())
        unknown = [name for name in self.drop if name not in names]
        if unknown:
            raise ModelError(
                Mistake(DROP, f"the backbone has no task '{name}'", known(names, name)) for name in unknown
            )
        kept = {name: name for name in names if name not in self.drop}
        if not kept:
            raise ModelError(Mistake(DROP, "names all tasks of the backbone", f"To keep none leave {KEEP} out"))
        if mistakes := list(dropped_peers(found, kept)):
            raise ModelError(mistakes)
        return Taken(found, kept)


def wish_to_keep(keep: bool, drop: Sequence[str]) -> Keep | None:
    """Return what `MultiTaskModel.from_backbone` is asked to keep; None: nothing.

    Raises:
        ModelError: If tasks are dropped where none is kept, or are no list of names.
    """
    if isinstance(drop, str) or not all(isinstance(name, str) for name in drop):
        raise ModelError(Mistake(DROP, f"found {drop!r:.60}", "Allowed: a list of names of tasks"))
    if drop and not keep:
        raise ModelError(Mistake(DROP, "no task is kept that could be dropped", f"Leave it out, or set {KEEP} too"))
    return Keep(tuple(drop)) if keep else None


@dataclass(frozen=True)
class Taken:
    """The tasks that another model takes over from a trained one.

    Args:
        source: The config of the trained model.
        names: Their names in the other model, by their names in this one.
        shares: New names of the heads that tasks share, by their names in this model; others stay.
    """

    source: MultiTaskConfig
    names: Mapping[str, str]
    shares: Mapping[str, str] = field(default_factory=dict)

    def tasks(self, own_dropout: bool = False) -> dict[str, dict[str, Any]]:
        """Return the tasks by their new names, as JSON, each with its head: the other model may have another one.

        Args:
            own_dropout: Whether heads that take their dropout from the backbone name it, as the other model's
                backbone has another one.
        """
        found = {}
        for old, new in self.names.items():
            task = {key: value for key, value in (self.source.tasks or {})[old].items() if key != _OF_TRAINING}
            found[new] = {**task, "head": self._head(old, own_dropout)}
        return found

    def _head(self, name: str, own_dropout: bool) -> HeadSpec:
        """Return a head's specification: whose it is too, and the dropout that the model gave to heads without."""
        spec, dropout = head_specs(self.source)[name], self.source.dropout
        options = settled_options(spec)
        if "dropout" in options and options["dropout"] is None:
            if dropout is None and own_dropout and self.source.encoder_config is not None:
                dropout = head_dropout(None, self.source.encoder_config)
            if dropout is not None:
                spec = {**({"type": spec} if isinstance(spec, str) else spec), "dropout": dropout}
        return with_share(spec, self._shares.get(name))

    @property
    def _shares(self) -> dict[str, str]:
        """The new names of the heads that they share, by the old names of those tasks that share one."""
        found = {name: share_of(self.source.task_objects[name].head) for name in self.names}
        return {name: self.shares.get(share, share) for name, share in found.items() if share is not None}

    def origins(self, first: int = 1) -> dict[str, int]:
        """Give each task the number of the model that its head came from; heads of one number stay together.

        Args:
            first: The lowest number.
        """
        theirs = self.source.origins or {}
        there = sorted({theirs.get(name, 0) for name in self.names})
        return {new: first + there.index(theirs.get(old, 0)) for old, new in self.names.items()}

    def known(self, field: str) -> dict[str, Any]:
        """Return what the trained model knows of each task, under their new names.

        Args:
            field: ``decisions`` or ``calibration_temperatures``.
        """
        found = getattr(self.source, field) or {}
        return {self.names[name]: value for name, value in found.items() if name in self.names}

    def fields(self, given: Mapping[str, Task], pooling: str | None) -> dict[str, Any]:
        """Return the fields of the config of a model that has other tasks too.

        Args:
            given: The other tasks, and those of the kept ones that go on from their heads.
            pooling: The pooling that was asked for; None: none was.

        Raises:
            ModelError: If what was asked for does not go with the heads.
        """
        kept, again = self.tasks(), {}
        mistakes = []
        if pooling not in (None, self.source.pooling):
            found = f"is '{pooling}', and the heads that are kept read '{self.source.pooling}'"
            mistakes.append(Mistake("model.pooling", found, "Leave it out"))
        others = _as_tasks(given)
        for name, task in others.items():
            if name in kept:
                mistakes += disagreements(name, task, self.source.task_objects[name], kept[name]["head"])
                again[name] = {**task.for_config(), "head": kept[name]["head"]}
        if mistakes:
            raise ModelError(mistakes)
        new = {name: task for name, task in others.items() if name not in kept}
        tasks = {**kept, **again, **new}
        objects = {**self.source.task_objects, **others}
        asked = {name: value for name, value in self.known("decisions").items() if objects[name].tuned_by is not None}
        return {
            "tasks": tasks,
            "pooling": self.source.pooling,
            "origins": self.origins(),
            "decisions": asked or None,
            "calibration_temperatures": self.known("calibration_temperatures") or None,
        }

    def fill(self, heads: TaskHeads, config: MultiTaskConfig, weights: Mapping[str, Tensor]) -> None:
        """Give heads the weights that they had, and statistics of the same kind.

        Args:
            heads: The heads of the other model, new.
            config: Its config.
            weights: The state of the trained model's heads.

        Raises:
            ModelError: If the heads are not the same.
        """
        found = self.weights(weights, config)
        for old, new in self.names.items():
            fresh = heads.of(new).statistics
            if type(fresh) is not type(self.source.task_objects[old].new_statistics()):
                start = f"{module_key(new)}.statistics."
                found = {key: value for key, value in found.items() if not key.startswith(start)}
        wanted = heads.state_dict()
        odd = [key for key, value in found.items() if key not in wanted or wanted[key].shape != value.shape]
        # What is not there would stay as it was drawn. Statistics are those of the rows, where there are none.
        starts = tuple(self._places(weights, config).values())
        odd += [key for key in wanted if key.startswith(starts) and ".statistics." not in key and key not in found]
        if odd:
            problem = f"the heads of the backbone do not fit the tasks, see heads.{min(odd)}"
            raise ModelError(Mistake(KEEP, problem, "Load it with the config that it was saved with"))
        heads.load_state_dict(found, strict=False)

    def weights(self, weights: Mapping[str, Tensor], config: MultiTaskConfig) -> dict[str, Tensor]:
        """Return the weights of the heads that are taken over, and of the layers that they share, under new names.

        Args:
            weights: The state of the trained model's heads.
            config: The config of the other model.

        Raises:
            ModelError: If heads would share layers with others than before.
        """
        places, found = self._places(weights, config), {}
        for key, value in weights.items():
            module, _, rest = key.partition(".")
            if f"{module}." in places:
                found[places[f"{module}."] + rest] = value
        return found

    def renamed(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights of the tasks' own adapters, of those that are taken over, under new names.

        Args:
            weights: Their state in the trained model, each with its task's module first.
        """
        places = {module_key(old): module_key(new) for old, new in self.names.items()}
        parts = [(*key.partition("."), value) for key, value in weights.items()]
        return {f"{places[task]}.{rest}": value for task, _, rest, value in parts if task in places}

    def _places(self, weights: Mapping[str, Tensor], config: MultiTaskConfig) -> dict[str, str]:
        """Return the beginnings of the new names of weights, by those of the old ones."""
        places = {f"{module_key(old)}.": f"{module_key(new)}." for old, new in self.names.items()}
        for name, new in self._shares.items():
            share = share_of(self.source.task_objects[name].head)
            assert share is not None  # the task is one of those that share a head
            places[f"{share_key(share)}."] = f"{share_key(new)}."
        ours = head_groups(config)
        for group in groups_of(self.source):
            kept, start = set(group.kept(self.names)), f"{shared_key(group.number)}."
            shares = group.kind.knows_peers or any(key.startswith(start) for key in weights)
            if not kept or not shares:
                continue
            place = next(index for index, tasks in enumerate(ours) if kept & set(tasks))
            if set(ours[place]) != kept:
                both = ", ".join(sorted(kept | set(ours[place])))
                problem = f"heads of {both} would share what they do not share in the backbone, or the reverse"
                raise ModelError(Mistake(KEEP, problem, "Leave model.dropout out"))
            places[start] = f"{shared_key(place)}."
        return places


def _as_tasks(given: object) -> dict[str, Task]:
    """Return tasks as objects; those that are none are refused with the config that is made of them."""
    if not isinstance(given, Mapping):
        raise ModelError(Mistake("tasks", f"is a {type(given).__name__}", "Give a mapping with a task for each name"))
    found = {name: task for name, task in given.items() if isinstance(task, Task)}
    if len(found) < len(given):
        found = dict(MultiTaskConfig(tasks=given).task_objects)
    return found
