"""Pseudo-random permutations and uniforms that are evaluated on demand, so that nothing is stored or replayed."""

import hashlib

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scramble 64 bits (the finaliser of SplitMix64, Steele et al., OOPSLA 2014)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def derive_key(*parts: int | str | NDArray[np.int64] | NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Make one 64-bit key of several parts, such as a seed, a task's name and a pass number.

    Args:
        parts: Integers, strings, or integer arrays of one shape; arrays give an array of keys.
    """
    key = np.zeros(1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for part in parts:
            if isinstance(part, str):
                part = int.from_bytes(hashlib.sha256(part.encode()).digest()[:8], "little")
            word = np.asarray(part if isinstance(part, np.ndarray) else int(part) & (2**64 - 1)).astype(np.uint64)
            key = _mix(key * _GOLDEN + word + _GOLDEN)
    return key


def uniform(key: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Map keys to uniforms in [0, 1), 53 bits each."""
    return (key >> np.uint64(11)).astype(np.float64) * 2.0**-53


def permute(positions: NDArray[np.int64], size: int, key: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Evaluate a keyed permutation of ``range(size)`` at some positions.

    Source: the swap-or-not shuffle, Hoang, Morris, Rogaway, CRYPTO 2012. Any size, no table, a few array
    operations per round whatever the number of positions.

    Args:
        positions: Positions in ``[0, size)``, any number of them.
        size: Number of elements.
        key: One key, or one per position (positions of different passes may be asked for together).

    Shape:
        positions [N], key [1] or [N] -> elements [N].
    """
    current = positions.astype(np.uint64)
    n = np.uint64(size)
    # 6 log2(n) rounds are the paper's order for a good shuffle; tiny sets need a few more to mix evenly.
    rounds = max(24, 6 * int(size - 1).bit_length())
    with np.errstate(over="ignore"):
        for number in range(rounds):
            round_key = _mix(key + np.uint64(number + 1) * _GOLDEN)
            partner = (round_key % n + n - current) % n
            # Both of a pair ask with the larger of the two, so both swap or neither does: it stays a permutation.
            swap = _mix(np.maximum(current, partner) + (round_key | np.uint64(1)) * _GOLDEN) >> np.uint64(63)
            current = np.where(swap.astype(bool), partner, current)
    return current.astype(np.int64)
