"""Features that are the same for all rows, but for the last bits of float32."""

import numpy as np
from numpy.typing import NDArray

NOISE = 1e-5
"""Share of the features' own size below which their spread is rounding: an encoder computes in float32."""


def centred(features: np.ndarray) -> NDArray[np.float64]:
    """Return features less their mean, in float64 [n, H]; 0 where they are the same for all rows.

    Without that the rounding of a constant, such as what stands for every text before the first layer, would look
    like features.

    Args:
        features: Features [n, ...].
    """
    values = np.asarray(features, dtype=np.float64).reshape(len(features), -1)
    found: NDArray[np.float64] = values - values.mean(axis=0)
    if np.linalg.norm(found) <= NOISE * np.linalg.norm(values):
        return np.zeros_like(found)
    return found
