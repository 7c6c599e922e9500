"""Random numbers for stochastic heads that depend on seed, step and row alone, not on how a step is partitioned."""

import torch
from torch import Tensor

from hf_mtl.batch import NoiseKeys

# SplitMix64 (Steele et al., OOPSLA 2014), written in the signed 64-bit integers that torch has on every device.
_GOLDEN = -0x61C8864680B583EB
_FIRST = -0x40A7B892E31B1A47
_SECOND = -0x6B2FB644ECCEEE15


class Noise:
    """Draws for some rows of one optimizer step; asked twice for the same stream, it gives the same numbers.

    Args:
        rows: One 64-bit key per row, int64 [n].
        step: A 64-bit key of the step, which all its rows share.
    """

    def __init__(self, rows: Tensor, step: int):
        self.rows = rows
        self.step = step

    @classmethod
    def draw(cls, count: int, device: torch.device) -> "Noise":
        """Draw random keys from torch's own generators, for callers that plan no steps."""
        low, high = -(2**63), 2**63 - 1
        step = int(torch.randint(low, high, ()))
        return cls(torch.randint(low, high, (count,), device=device), step)

    @classmethod
    def of_batch(cls, keys: NoiseKeys | None, features: Tensor, draws: bool) -> "Noise":
        """Return the noise of the rows of a batch.

        Args:
            keys: Its keys, where a step was planned; None: there are none.
            features: Features of the rows, for their number and their device [n, ...].
            draws: Whether any head asks for numbers. If not, torch's generators stay as they are.
        """
        if keys is not None:
            return cls(keys["rows"], keys["step"])
        if draws:
            return cls.draw(features.shape[0], features.device)
        return cls(torch.zeros(features.shape[0], dtype=torch.int64, device=features.device), 0)

    def segment(self, start: int, stop: int) -> "Noise":
        """Return the noise of a part of the rows."""
        return Noise(self.rows[start:stop], self.step)

    def at(self, sequences: Tensor, numbers: Tensor | None) -> "Noise":
        """Return the noise of sites of these rows, of each its own.

        Args:
            sequences: Whose each site is, int64 [U].
            numbers: A number of each site, of its own in its sequence, int64 [U]; None: a site is its sequence.
        """
        keys = self.rows[sequences]
        return Noise(keys if numbers is None else _mix(keys + (numbers + 1) * _GOLDEN), self.step)

    def normal(self, width: int, stream: str = "") -> Tensor:
        """Return standard normal numbers, float32 [n, width], of each row's own.

        Args:
            width: Numbers per row.
            stream: Whose draws these are; different streams are independent.
        """
        found: Tensor = torch.special.ndtri(_uniform(self.rows, width, stream))
        return found

    def step_normal(self, width: int, stream: str = "") -> Tensor:
        """Return standard normal numbers, float32 [width], the same for all rows of the step."""
        found: Tensor = torch.special.ndtri(self.step_uniform(width, stream))
        return found

    def step_uniform(self, width: int, stream: str = "") -> Tensor:
        """Return uniform numbers in (0, 1), float32 [width], the same for all rows of the step."""
        key = torch.full((1,), self.step, dtype=torch.int64, device=self.rows.device)  # filled there, not copied
        return _uniform(key, width, stream)[0]


def _uniform(keys: Tensor, width: int, stream: str) -> Tensor:
    """Make of keys [n] uniforms in (0, 1), float32 [n, width], of 23 bits: of 24 the largest would round to 1."""
    counters = torch.arange(1, width + 1, dtype=torch.int64, device=keys.device)
    words = _mix(_mix(keys ^ _stream_key(stream)).unsqueeze(1) + counters * _GOLDEN)
    return ((words >> 41 & 0x7FFFFF).to(torch.float32) + 0.5) * 2.0**-23


def _mix(value: Tensor) -> Tensor:
    value = (value ^ _shift(value, 30)) * _FIRST
    value = (value ^ _shift(value, 27)) * _SECOND
    return value ^ _shift(value, 31)


def _shift(value: Tensor, bits: int) -> Tensor:
    """Shift to the right, and fill with zeros; torch's shift keeps the sign."""
    return value >> bits & (1 << (64 - bits)) - 1


def _stream_key(stream: str) -> int:
    key = 0
    for byte in stream.encode():
        key = (key * 0x100000001B3 + byte + 1) % 2**63
    return key
