"""Calibration: reliability, expected calibration error, and the temperature that mends probabilities."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hf_mtl.evaluation.outputs import broken_rows, pieces
from hf_mtl.evaluation.outputs import probabilities as softmax

DEFAULT_BINS = 15
TEMPERATURE_BOUNDS = (0.05, 20.0)


@dataclass(frozen=True, eq=False)
class ReliabilityBins:
    """Rows by confidence, in B bins of equal width over [0, 1]; bin b holds those in (b/B, (b+1)/B].

    Args:
        confidence: Mean confidence of each bin's rows, NaN where it has none [B].
        accuracy: Share of each bin's rows that are right, NaN where it has none [B].
        count: Rows of each bin, or the sum of their weights [B].
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    count: NDArray[np.int64] | NDArray[np.float64]

    @property
    def error(self) -> float:
        """Return the expected calibration error Σ_b n_b/n |accuracy_b - confidence_b|, in [0, 1]."""
        filled = self.count > 0
        gaps = np.abs(self.accuracy[filled] - self.confidence[filled])
        return float(np.average(gaps, weights=self.count[filled]))


def reliability_bins(logits: ArrayLike, labels: ArrayLike, bins: int = DEFAULT_BINS) -> ReliabilityBins:
    """Compare confidence with accuracy. The confidence of a row is the probability of its predicted class.

    Source: Guo et al., ICML 2017, arXiv:1706.04599, section 2.

    Args:
        logits: Class logits [n, C].
        labels: Class ids [n].
        bins: Number of bins B.

    Raises:
        ValueError: If there are no rows, logits are not finite, labels do not fit, or ``bins`` is below 1.
    """
    values, classes = _checked(logits, labels)
    return _binned(((np.exp(_log_softmax(part)), of) for part, of in _in_pieces(values, classes)), bins)


def probability_bins(
    probabilities: ArrayLike, labels: ArrayLike, bins: int = DEFAULT_BINS, weights: np.ndarray | None = None
) -> ReliabilityBins:
    """Count as `reliability_bins`, of probabilities [n, C] and weights of rows [n].

    Raises:
        ValueError: As there.
    """
    values, classes = _checked(probabilities, labels)
    return _binned([(values, classes)], bins, weights)


def softmax_bins(
    logits: ArrayLike, labels: ArrayLike, bins: int = DEFAULT_BINS, weights: np.ndarray | None = None
) -> ReliabilityBins:
    """Count as `probability_bins` of the logits' probabilities, which are never all there at once.

    Raises:
        ValueError: As `reliability_bins`.
    """
    values, classes = _checked(logits, labels)
    return _binned(((softmax(part), of) for part, of in _in_pieces(values, classes)), bins, weights)


def _binned(
    parts: Iterable[tuple[NDArray[np.float64], NDArray[np.int64]]], bins: int, weights: np.ndarray | None = None
) -> ReliabilityBins:
    """Put rows in bins, given probabilities [m, C] and class ids [m] of some after others, and their weights."""
    if bins < 1:
        raise ValueError(f"bins must be 1 or more, found {bins}")
    found = [(values.max(axis=1), values.argmax(axis=1) == classes) for values, classes in parts]
    confidence, right = (np.concatenate(column) for column in zip(*found, strict=True))
    index = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    count = np.bincount(index, weights, minlength=bins)
    each = np.ones(len(index)) if weights is None else weights
    sums = [np.bincount(index, weights=each * values, minlength=bins) for values in (confidence, right)]
    with np.errstate(invalid="ignore"):  # 0 / 0 where a bin has no rows
        return ReliabilityBins(sums[0] / count, sums[1] / count, count)


def expected_calibration_error(logits: ArrayLike, labels: ArrayLike, bins: int = DEFAULT_BINS) -> float:
    """Return the mean distance of confidence and accuracy over the bins, weighted by rows, in [0, 1]; 0 is best.

    Source: Naeini et al., AAAI 2015; top-label confidence as in Guo et al., ICML 2017, arXiv:1706.04599, Eq. 3.

    Args:
        logits: Class logits [n, C].
        labels: Class ids [n].
        bins: Number of bins of equal width.

    Raises:
        ValueError: As `reliability_bins`.
    """
    return reliability_bins(logits, labels, bins).error


def calibration_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """Return the T > 0 with the smallest mean negative log-likelihood of softmax(logits / T), float64.

    The likelihood has one optimum (it is convex in 1/T); T is kept in [0.05, 20]. It sits at a bound where there is
    none: at the lower one if every row is right, as other rows will not be, at the upper one if logits mislead.

    Source: Guo et al., ICML 2017, arXiv:1706.04599, section 4.2.

    Args:
        logits: Class logits [n, C] of rows that the model was not trained on.
        labels: Class ids [n], or shares of the classes [n, C], whose likelihood is the mean over them.

    Raises:
        ValueError: As `reliability_bins`.
    """
    from scipy.optimize import minimize_scalar

    shares = np.asarray(labels)
    soft = shares.ndim == 2 and shares.dtype.kind == "f"
    values, classes = _checked(logits, shares.argmax(axis=1) if soft else labels)
    low, high = TEMPERATURE_BOUNDS
    if (values.argmax(axis=1) == classes).all() and not (soft and (shares.max(axis=1) < 1).any()):
        return low  # the likelihood only grows, until it is 1 to the last bit and says no more where to go

    def likelihoods(scale: float) -> Iterator[np.ndarray]:
        start = 0
        for part, of in _in_pieces(values, classes):
            found = _log_softmax(part.astype(np.float64) / scale)
            yield (found * shares[start : start + len(of)]).sum(axis=1) if soft else found[np.arange(len(of)), of]
            start += len(of)

    def mean_nll(log_temperature: float) -> float:
        return -float(np.concatenate(list(likelihoods(np.exp(log_temperature)))).mean())

    found = minimize_scalar(mean_nll, bounds=(np.log(low), np.log(high)), method="bounded", options={"xatol": 1e-8})
    return float(np.exp(found.x))


def _log_softmax(logits: np.ndarray) -> NDArray[np.float64]:
    logits = logits.astype(np.float64, copy=False)
    shifted = logits - logits.max(axis=1, keepdims=True)
    normalised: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return normalised


def _in_pieces(values: np.ndarray, classes: NDArray[np.int64]) -> Iterator[tuple[np.ndarray, NDArray[np.int64]]]:
    """Yield some rows after others, with their classes."""
    start = 0
    for part in pieces(values):
        yield part, classes[start : start + len(part)]
        start += len(part)


def _checked(outputs: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, NDArray[np.int64]]:
    """Return outputs as they are where they are numbers of any precision: what is computed of them is in float64."""
    values, classes = np.asarray(outputs), np.asarray(labels).reshape(-1).astype(np.int64)
    if values.ndim != 2 or len(values) != len(classes) or not len(classes):
        raise ValueError(f"expected outputs [n, C] and labels [n], found {values.shape} and {classes.shape}")
    if broken_rows(values):
        raise ValueError("outputs are not finite")
    if classes.min() < 0 or classes.max() >= values.shape[1]:
        raise ValueError(f"labels must be class ids from 0 to {values.shape[1] - 1}")
    return values, classes
