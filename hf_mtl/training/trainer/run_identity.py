"""The facts that make a run this one and no other, kept in its checkpoints to compare a resumed Trainer with."""

import hashlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.balancing import Spec
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.errors import CheckpointError, Mistake
from hf_mtl.modeling import MultiTaskConfig
from hf_mtl.training.trainer.run_terms import changed, plain, staying, with_what_may_change
from hf_mtl.training.trainer.sections import Sections

_OF_THE_MODEL = ("tasks", "head", "pooling", "dropout", "max_length", "peft", "freeze", "origins")
Splits: TypeAlias = Mapping[str, Mapping[str, EncodedSplit]]
_REMEDY = "Resume with what the run was begun with, or start anew in another folder"


class RunIdentity:
    """The facts of a run that must stay as they are when it is resumed.

    Args:
        facts: The facts by dotted key; plain values.
        splits: The rows by task, as ``train`` and ``eval``; hashed once, when first needed.
        rows_of_process: Rows of a step on one process, as the arguments ask for them.
    """

    def __init__(self, facts: Mapping[str, Any], splits: Splits, rows_of_process: int):
        self.facts = dict(facts)
        self.rows_of_process = rows_of_process
        self._splits = splits

    @cached_property
    def rows(self) -> dict[str, dict[str, str]]:
        """Tell what the rows are, by split and task."""
        return {split: {name: _hash(rows) for name, rows in tasks.items()} for split, tasks in self._splits.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return the facts, and what the rows are."""
        return {"facts": self.facts, "rows": self.rows, "rows_of_process": self.rows_of_process}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Compare with the run that a checkpoint is of; nothing of it is taken.

        Raises:
            CheckpointError: If anything that must stay is different; all of it at once.
        """
        mistakes = [*self._other_facts(state["facts"]), *self._other_rows(state["rows"])]
        if mistakes:
            raise CheckpointError(with_what_may_change(mistakes))

    def check_rows(self, asked: int, rows: int, processes: int) -> None:
        """Refuse other rows per step, unless it is the processes that changed: then the accumulation follows them.

        Args:
            asked: Rows of a step on one process, as the run was begun with.
            rows: Rows of a step that the run has.
            processes: How many processes there are now.

        Raises:
            CheckpointError: If the arguments ask for other rows than the run has.
        """
        if self.rows_of_process != asked:
            found = f"gives, with accumulation, {self.rows_of_process * processes} rows per step; the run has {rows}"
            remedy = "Set it and gradient_accumulation_steps to values that give the run's rows on these processes"
            raise CheckpointError(Mistake("training.per_device_train_batch_size", found, remedy))

    def _other_facts(self, theirs: Mapping[str, Any]) -> Iterator[Mistake]:
        for key, here, there in changed(self.facts, theirs):
            yield Mistake(key, f"is {here!r}, in the run it is {there!r}", _REMEDY)

    def _other_rows(self, theirs: Mapping[str, Mapping[str, str]]) -> Iterator[Mistake]:
        for split, tasks in self.rows.items():
            for name, here in tasks.items():
                # Of other numbers of rows to train, the plan tells; rows to evaluate may be added or left out whole.
                if here != theirs.get(split, {}).get(name, here):
                    problem = f"the rows of '{name}' are not those that the run was begun with"
                    yield Mistake(f"{split}_dataset", problem, _REMEDY)


def identity_of(
    args: MultiTaskTrainingArguments,
    config: MultiTaskConfig,
    sections: Sections,
    splits: Splits,
    follows_evaluations: bool,
) -> RunIdentity:
    """Return the identity of a Trainer's run.

    Args:
        args: Its arguments.
        config: Its model's config.
        sections: What is done with its data, and its mixture, balancing and schedules.
        splits: Its rows by task, as ``train`` and ``eval``.
        follows_evaluations: Whether anything that it trains by follows its evaluations.
    """
    model = config.to_dict()
    of_the_model = {key: plain(model.get(key)) for key in _OF_THE_MODEL}
    facts = {
        **_under("training", staying(vars(args), follows_evaluations)),
        **_under("model", of_the_model),
        **_under("data", sections.data.model_dump(mode="json")),
        **_under("mixture", _plain_values(sections.mixture.model_dump(mode="json"))),
        **_under("balancing", _plain_values(_balancing(sections.balancing))),
        "schedules": plain(list(sections.schedules)),
    }
    rows = args.train_batch_size * args.gradient_accumulation_steps
    return RunIdentity(facts, splits, rows)


def _under(section: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{section}.{key}": value for key, value in values.items()}


def _plain_values(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: plain(value) for key, value in values.items()}


def _balancing(spec: Spec) -> dict[str, Any]:
    """Leave out how gradients are formed and recorded, which changes nothing but rounding."""
    return {key: value for key, value in spec.model_dump(mode="json").items() if key != "gradients"}


def _hash(split: EncodedSplit) -> str:
    """Return the rows, and all that is known of them, in their order, as hexadecimal digits."""
    tokens, digest = split.tokens, hashlib.blake2b(digest_size=16)
    types = np.empty(0) if tokens.flat_type_ids is None else tokens.flat_type_ids
    more = [values for values in (split.masses, split.weights) if values is not None]
    if split.sites is not None:
        parts = (split.sites.starts, split.sites.tokens, split.sites.offsets, split.sites.places)
        more += [values for values in parts if values is not None]
    for values in (tokens.flat_ids, tokens.offsets, types, split.labels, *more):
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()
