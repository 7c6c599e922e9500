"""In which order each task visits the others: the randomness of PCGrad and GradVac."""

from collections.abc import Sequence

import numpy as np

from hf_mtl.balancing.solvers import Array

Orders = Sequence[Sequence[int]]


def draw_orders(num_tasks: int, seed: int, draw: int) -> list[list[int]]:
    """Return a uniformly random order of the other tasks for each task; a pure function of seed and number of the
    draw.
    """
    generator = np.random.default_rng([seed, draw])
    return [[int(j) for j in generator.permutation(num_tasks) if j != i] for i in range(num_tasks)]


def active_orders(orders: Orders, active: Array) -> Array:
    """Return the orders among the active rows only, as positions in ``active``: [m, m - 1].

    Raises:
        ValueError: If an active row does not visit each other active row once.
    """
    position = {int(task): place for place, task in enumerate(active)}
    rows = [[position[int(j)] for j in orders[task] if int(j) in position] for task in position]
    for own, row in enumerate(rows):
        if sorted([*row, own]) != list(range(len(active))):
            raise ValueError(f"orders is {orders}; needs, for each task, every other task once")
    return np.array(rows)
