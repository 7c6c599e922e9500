"""Metrics whose code is not ours: what their names would run, and who has to allow it."""

import re
from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path

from hf_mtl.errors import Mistake, known
from hf_mtl.evaluation.registry import METRICS
from hf_mtl.tasks import MetricSpec, Task

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_ALLOW = "If you trust its code, say so: --allow-code on the command line, allow_code=True in Python"


class Trust(IntEnum):
    """Trust in the code of metrics. Each level allows what those before it allow."""

    OURS = 0
    """That of hf_mtl alone: the file of a model or of a run names the metric."""
    CANONICAL = 1
    """Metrics that `evaluate` publishes too: the user's own recipe or code names the metric."""
    ANY = 2
    """Scripts, and metrics of users of the Hub too: the user has allowed code."""

    @classmethod
    def of(cls, allow_code: bool, named_by_user: bool = True) -> "Trust":
        """Return what may be run.

        Args:
            allow_code: Whether the user has allowed code.
            named_by_user: Whether the metrics stand in the user's own recipe or code.
        """
        if allow_code:
            return cls.ANY
        return cls.CANONICAL if named_by_user else cls.OURS


def needed_trust(name: str) -> Trust:
    """Return the least trust with which a metric may be loaded; nothing is loaded or looked up.

    Args:
        name: As a task has it: a metric of ours, an id of `evaluate`, or a script.
    """
    if name in METRICS:
        return Trust.OURS
    # Where a folder of that name has a script of that name, `evaluate` would run this and not its own.
    local = Path(name, f"{name}.py").is_file()
    return Trust.CANONICAL if _ID.fullmatch(name) and not local else Trust.ANY


def foreign_mistakes(tasks: Mapping[str, Task], trust: Trust) -> list[Mistake]:
    """Find the metrics that must not be loaded.

    Args:
        tasks: The tasks by name.
        trust: What may be run.
    """
    return [
        mistake
        for name, task in tasks.items()
        for spec in task.metrics
        if (mistake := foreign_mistake(f"tasks.{name}.metrics", spec, trust)) is not None
    ]


def foreign_mistake(key: str, spec: MetricSpec, trust: Trust) -> Mistake | None:
    """Say what is wrong with a metric that must not be loaded; None: it may be.

    Args:
        key: Recipe key of the metric.
        spec: The metric.
        trust: What may be run.
    """
    needed = needed_trust(spec.name)
    if needed <= trust:
        return None
    ours = known(METRICS, spec.name, what="Metrics of hf_mtl, always there")
    if needed == Trust.CANONICAL:
        problem = f"a file of the model or run names '{spec.name}', a metric of `evaluate` whose code would be run"
        return Mistake(key, problem, f"{_ALLOW}; or name the metric yourself. {ours}")
    if spec.is_bare_script and trust == Trust.OURS:
        problem = f"the model names '{spec.name}', a script that is not saved with it"
        return Mistake(key, problem, f"{_ALLOW}, and give its path. {ours}")
    problem = f"'{spec.name}' is code of your own or of others, which scoring would run"
    return Mistake(key, problem, f"{_ALLOW}. {ours}")
