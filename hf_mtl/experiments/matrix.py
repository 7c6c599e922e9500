"""The runs of a study: a matrix of which each cell is done once, by whichever process comes first."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from hf_mtl.experiments.claims import claim
from hf_mtl.experiments.results import Results

Key = Mapping[str, str | int | float]
"""Values that tell a run from all others of its study; a part of its record."""


def unfinished(keys: Iterable[Key], results: Results, claims: Path) -> Iterator[Key]:
    """Yield the runs that are not finished and that no other process is at.

    Each is claimed while the caller is at it, up to the next one.

    Args:
        keys: The runs, in the order in which to do them.
        results: The finished ones. The caller adds each that it has done.
        claims: Folder of the claims, shared by all processes of the study.
    """
    for key in keys:
        with claim(claims / "-".join(map(str, key.values()))) as mine:
            # Asked under the claim: before it another process may have been about to finish this run.
            if mine and results.find(**key) is None:
                yield key
