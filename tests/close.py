"""Comparison of nested plain values whose numbers may differ by rounding."""

from typing import Any

import pytest


class close:
    """Equal to plain values of the same shape, with equal numbers, but for a hundred thousandth."""

    def __init__(self, expected: Any, tolerance: float = 1e-5):
        self.expected = expected
        self.tolerance = tolerance

    def __eq__(self, found: object) -> bool:
        return _same(self.expected, found, self.tolerance)

    def __repr__(self) -> str:
        return repr(self.expected)


def _same(left: Any, right: Any, tolerance: float) -> bool:
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key], tolerance) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        pairs = zip(left, right, strict=False)
        return len(left) == len(right) and all(_same(one, other, tolerance) for one, other in pairs)
    if isinstance(left, float) and isinstance(right, float):
        return bool(left == pytest.approx(right, rel=tolerance, abs=tolerance))
    return bool(left == right)
