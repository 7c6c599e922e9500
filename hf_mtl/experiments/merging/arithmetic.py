"""Weights of several encoders become one direction from where they all began.

With θ0 the beginning and δ_t = θ_t - θ0 what task t learned, every method is θ0 + λ d, and differs in d alone. A
weight that only some of the encoders have, such as a pooler's, is merged of those that have it. Weights lie as they
come, in float32; what is computed of them is float64, so that equal encoders merge into themselves to the bit.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

Weights = Mapping[str, Tensor]

SCALES = tuple(number / 10 for number in range(1, 11))
"""The values of λ that are tried."""

KEPT = 0.2
"""The share of each δ_t that TIES keeps."""


def average(begin: Weights, trained: Sequence[Weights]) -> dict[str, Tensor]:
    """Return the mean of δ_t, so that λ = 1 gives the mean of the encoders.

    Source: Wortsman et al., ICML 2022, arXiv:2203.05482, for models of one task.

    Args:
        begin: θ0, by name.
        trained: θ_t of each task, by name.
    """
    return {name: torch.stack(each).mean(dim=0) for name, each in _learned(begin, trained)}


def task_arithmetic(begin: Weights, trained: Sequence[Weights]) -> dict[str, Tensor]:
    """Return the sum of δ_t.

    Source: Ilharco et al., ICLR 2023, arXiv:2212.04089.

    Args:
        begin: θ0, by name.
        trained: θ_t of each task, by name.
    """
    return {name: torch.stack(each).sum(dim=0) for name, each in _learned(begin, trained)}


def ties(begin: Weights, trained: Sequence[Weights], kept: float = KEPT) -> dict[str, Tensor]:
    """Return the mean of what agrees in sign, entry by entry, among the largest parts of δ_t.

    Each δ_t keeps its largest entries by magnitude, over all weights together that any task has moved: frozen ones,
    where every δ_t is zero, would make room for all others. The sign of an entry is that of the larger summed
    magnitude, and the mean is over the tasks that have this sign there. Where both signs are as large, it is zero.

    Source: Yadav et al., NeurIPS 2023, arXiv:2306.01708. Departs from it where both signs are as large, where the
    authors' code takes the more frequent sign of the whole model.

    Args:
        begin: θ0, by name.
        trained: θ_t of each task, by name.
        kept: The share of the entries that is kept.
    """
    moved = [name for name, _ in _learned(begin, trained)]
    least = [_threshold(begin, weights, moved, kept) for weights in trained]
    found = {}
    for name in moved:
        having = [(limit, weights[name]) for limit, weights in zip(least, trained, strict=True) if name in weights]
        deltas = torch.stack([_delta(begin[name], value) for _, value in having])
        limits = torch.tensor([limit for limit, _ in having], dtype=torch.float64)
        found[name] = agreeing_mean(deltas.where(deltas.abs() >= limits.reshape(-1, *[1] * begin[name].ndim), 0.0))
    return found


METHODS: dict[str, Callable[[Weights, Sequence[Weights]], dict[str, Tensor]]] = {
    "average": average,
    "task_arithmetic": task_arithmetic,
    "ties": ties,
}
"""The methods by name."""


def scales_of(method: str) -> tuple[float, ...]:
    """Return the values of λ that a method chooses from: an average has no choice."""
    return (1.0,) if method == "average" else SCALES


def agreeing_mean(deltas: Tensor) -> Tensor:
    """Average over the tasks whose entry has the elected sign, [T, ...] -> [...]; zero where there is none."""
    agrees = (deltas.sign() == deltas.sum(dim=0).sign()) & (deltas != 0)
    count = agrees.sum(dim=0).clamp(min=1)
    return deltas.where(agrees, 0.0).sum(dim=0) / count


def moved(begin: Weights, direction: Weights, scale: float) -> dict[str, Tensor]:
    """Return θ0 + λ d in the precision of θ0; weights without a direction are those of θ0.

    Args:
        begin: θ0, by name.
        direction: d, by name.
        scale: λ.
    """
    found = dict(begin)
    for name, way in direction.items():
        found[name] = (begin[name].double() + scale * way).to(begin[name].dtype)
    return found


def _learned(begin: Weights, trained: Sequence[Weights]) -> Iterator[tuple[str, list[Tensor]]]:
    """Yield the weights that any task has moved, each with δ_t of the tasks that have it."""
    for name, start in begin.items():
        values = [weights[name] for weights in trained if name in weights]
        if start.is_floating_point() and not all(torch.equal(start, value) for value in values):
            yield name, [_delta(start, value) for value in values]


def _delta(start: Tensor, value: Tensor) -> Tensor:
    return value.double() - start.double()


def _threshold(begin: Weights, weights: Weights, names: Sequence[str], kept: float) -> float:
    """Find the magnitude from which on the entries of a δ_t are kept: at least one of them."""
    magnitudes = [_delta(begin[name], weights[name]).abs().flatten() for name in names if name in weights]
    if not magnitudes:
        return 0.0
    every = torch.cat(magnitudes)
    count = max(1, round(kept * len(every)))
    return float(every.kthvalue(len(every) - count + 1).values)
