"""Fingerprints of splits: a few letters by which a later look tells whether the data is the same."""

import hashlib
from dataclasses import dataclass

from hf_mtl.data.encoded import EncodedLabels
from hf_mtl.data.text_keys import TextKeys


@dataclass(frozen=True)
class Fingerprint:
    """The content of a split.

    Args:
        rows: Number of rows.
        content: Hash of texts and labels in their order, as hexadecimal digits; whatever the file's format.
    """

    rows: int
    content: str


def fingerprint(keys: TextKeys, labels: EncodedLabels) -> Fingerprint:
    """Hash the texts, or token ids, and the labels and weights of a split."""
    # Little-endian on every machine, so that the same rows have the same fingerprint everywhere.
    digest = hashlib.blake2b(keys.contents.astype("<u8").tobytes(), digest_size=16)
    digest.update(labels.values.astype("<f8" if labels.values.dtype.kind == "f" else "<i8").tobytes())
    if labels.weights is not None:
        digest.update(labels.weights.astype("<f8").tobytes())
    return Fingerprint(len(keys.contents), digest.hexdigest())
