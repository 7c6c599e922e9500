"""Reasons that several comparisons share, each said once with the arms and tasks that it is of."""

from collections.abc import Iterable, Mapping

from hf_mtl.experiments.answer.comparing import Comparison


def told_once(comparisons: Iterable[Comparison], labels: Mapping[str, str]) -> list[str]:
    """Say why something is not known, in a line for each reason.

    Args:
        comparisons: The comparisons, whose reasons begin with what they are of where they are of it alone.
        labels: How each arm is called.
    """
    found: dict[tuple[bool, str], dict[str, list[str]]] = {}
    for item in comparisons:
        of = f"{item.arm} over all tasks: " if item.task is None else f"{item.arm} on {item.task}: "
        for reason in item.reasons:
            arms = found.setdefault((item.task is None, reason.removeprefix(of)), {})
            if reason.startswith(of):
                arms.setdefault(labels[item.arm], []).append(str(item.task))
    return [_line(arms, reason, overall) for (overall, reason), arms in found.items()]


def _line(arms: Mapping[str, list[str]], reason: str, overall: bool) -> str:
    if not arms:
        return reason
    if overall:
        return f"{', '.join(arms)} over all tasks: {reason}"
    pairs = [f"{arm} on {', '.join(tasks)}" for arm, tasks in arms.items()]
    return f"{'; '.join(pairs)}: {reason}"
