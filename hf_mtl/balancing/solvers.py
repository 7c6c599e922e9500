"""Small exact solvers in float64 on T numbers, T the number of tasks: what several aggregators share.

Quadratic programs are brought to non-negative least squares, for which scipy has an exact active-set solver.
"""

import numpy as np
from scipy.optimize import nnls

Array = np.ndarray
_RIDGE = 1e-8


def guarded(denominator: Array) -> Array:
    """Return a denominator that is not negative, plus the 1e-8 of published code, but at most a millionth of itself.

    At the scale of unit gradients this is what the codes compute; small gradients it does not reach.
    """
    return denominator + np.minimum(1e-8, 1e-6 * denominator)


def cosine_factor(gramian: Array) -> tuple[Array, Array]:
    """Return norms n [m] and a factor R [m, m] with columns of norm 1 such that G = (R n)ᵀ (R n).

    Taking the norms out first keeps small gradients exact beside large ones.
    """
    norms = np.sqrt(np.diag(gramian))
    values, vectors = np.linalg.eigh(gramian / np.outer(norms, norms))
    return norms, np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T


def non_negative_least_squares(matrix: Array, target: Array) -> Array:
    """Find the argmin over x >= 0 of |matrix x - target|, [columns]."""
    # Lawson and Hanson's bound on iterations is a heuristic; nearly dependent columns may take more.
    found: Array = nnls(matrix, target, maxiter=100 * matrix.shape[1])[0]
    return found


def least_distance(columns: Array, wanted: Array) -> tuple[Array, float]:
    """Find the weights x >= 0 of the shortest point d = columns x with columnsᵀ d >= wanted, and its length.

    Lawson and Hanson's least-distance program: with the residual r of the non-negative least squares of
    [columns; wantedᵀ] u = (0, ..., 0, 1), d is -r by r's last entry, and |r|² = 1 / (1 + |d|²). Where no point
    satisfies the constraints r vanishes: x is what rounding makes it, and the length more than a million times the
    largest of ``wanted``.

    Args:
        columns: Points as columns [d, m], of norm 1.
        wanted: Least inner product with each, [m].

    Returns:
        x [m] and |d|.
    """
    scale = float(np.abs(wanted).max(initial=0.0))
    if scale == 0.0:
        return np.zeros(len(wanted)), 0.0
    target = np.zeros(len(columns) + 1)
    target[-1] = 1.0
    found = non_negative_least_squares(np.vstack([columns, wanted / scale]), target)
    squared = min(max(1.0 - float(wanted / scale @ found), 1e-15), 1.0)  # |r|²
    return found / squared * scale, (1.0 / squared - 1.0) ** 0.5 * scale


def nearest_to_origin(columns: Array) -> Array:
    """Find the weights on the simplex of the point of least norm in the convex hull of the columns.

    With an additional row of ones and target 1, the optimality conditions of non-negative least squares are those
    of the least-norm point, up to the sum of the weights. Columns are brought to norm 1, their norms going into
    that row.

    Args:
        columns: Points as columns [d, m].

    Returns:
        Weights [m], non-negative, summing to 1; not unique where columns are affinely dependent.
    """
    norms = np.linalg.norm(columns, axis=0)
    smallest = norms.min()
    if smallest <= 1e-150 or smallest <= 1e-15 * norms.max():
        at_origin = norms <= max(smallest, 1e-150)
        found: Array = at_origin / at_origin.sum()
        return found
    matrix = np.vstack([columns / norms, smallest / norms])
    target = np.zeros(len(matrix))
    target[-1] = 1.0
    weights = non_negative_least_squares(matrix, target) / (norms / smallest)
    found = weights / weights.sum()
    return found


def min_norm_weights(gramian: Array) -> Array:
    """Find the argmin over the simplex of wᵀ G w, [m]: the weights of the rows' least-norm convex combination."""
    norms, factor = cosine_factor(gramian)
    return nearest_to_origin(factor * (norms / norms.max()))


def alpha_fair_weights(gramian: Array, alpha: float, powers: Array | float = 1.0, max_iterations: int = 100) -> Array:
    """Return the root w > 0 of G w = p w^(-1/alpha).

    It is the minimum of ½ wᵀGw - pᵀh(w), with h an antiderivative of w^(-1/alpha).

    Damped Newton on v = w |g|, for which G becomes the cosine matrix C, so that neither the common scale nor the
    rows' own scales matter to the solver. There is no root where a non-negative combination of the rows vanishes
    (a Pareto-stationary point): there C's smallest eigenvalue is raised to 1e-8. Elsewhere C stays as it is, singular
    or not: rows that are multiples of each other have a root, and Newton's matrix is regular by its barrier.

    Args:
        gramian: G [m, m] of rows that are not zero.
        alpha: Fairness, above 0. 1: proportional fairness, the Nash bargaining solution.
        powers: p, positive, [m] or one number: with alpha 1 the bargaining powers.
        max_iterations: Newton steps at most.

    Returns:
        w [m].
    """
    norms = np.sqrt(np.diag(gramian))
    scale = norms.max()
    relative = norms / scale
    cosines = gramian / np.outer(norms, norms)
    if _is_stationary(cosines):
        cosines = cosines + max(0.0, _RIDGE - np.linalg.eigvalsh(cosines)[0]) * np.eye(len(norms))
    pull = powers * relative ** (1.0 / alpha - 1.0)
    v = _newton(cosines, pull, alpha, max_iterations)
    found: Array = v / relative * scale ** (-2.0 * alpha / (1.0 + alpha))
    return found


def _is_stationary(cosines: Array) -> bool:
    """Tell whether a non-negative combination w of unit rows vanishes: wᵀ C w <= 1e-8 |w|²."""
    weights = min_norm_weights(cosines)
    return bool(weights @ cosines @ weights <= _RIDGE * (weights @ weights))


def _newton(cosines: Array, pull: Array, alpha: float, max_iterations: int) -> Array:
    """Return the root v > 0 of C v = pull v^(-1/alpha); steps are relative to v."""
    power = -1.0 / alpha
    v = pull ** (alpha / (1.0 + alpha))  # the root for C = I, then rescaled to the best multiple of itself
    v = v * ((pull @ v ** (1.0 + power)) / (v @ cosines @ v)) ** (alpha / (1.0 + alpha))
    for _ in range(max_iterations):
        wanted = pull * v**power
        excess = cosines @ v - wanted
        # Where rows nearly cancel, C v is a small difference of large terms and cannot be told from its rounding.
        rounding = 1e-15 * (np.abs(cosines) @ v)
        if (np.abs(excess) <= 1e-12 * wanted + rounding).all():
            break
        slope, barrier = v * excess, v * wanted
        step = np.linalg.solve(np.outer(v, v) * cosines + np.diag(barrier / alpha), -slope)
        v = v * (1.0 + _step_length(cosines, pull, power, v, step, -float(slope @ step), barrier.sum()) * step)
    found: Array = v
    return found


def _step_length(
    cosines: Array, pull: Array, power: float, v: Array, step: Array, decrement: float, size: float
) -> float:
    """Backtrack from the longest step that keeps v positive; near the root, below rounding, take a full step."""
    length = min(1.0, 0.95 / max(-step.min(), 1e-300))
    if decrement <= 1e-9 * size:
        found: float = length
        return found

    def objective(point: Array) -> float:
        gain = np.log(point) if power == -1.0 else point ** (1.0 + power) / (1.0 + power)
        return float(0.5 * point @ cosines @ point - pull @ gain)

    start = objective(v)
    while objective(v * (1.0 + length * step)) > start - 1e-4 * length * decrement and length > 1e-10:
        length *= 0.5
    found = length
    return found
