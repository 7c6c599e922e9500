"""What the user should know of questions and contexts that became windows of tokens."""

from collections.abc import Iterator

import numpy as np

from hf_mtl.data.context_windows import ContextWindows


def window_notes(
    rows: str, windows: ContextWindows, asked: np.ndarray, places: np.ndarray, longest: int
) -> Iterator[str]:
    """Say what was cut, and which answers cannot be learned or predicted.

    Args:
        rows: The rows in words, such as ``100 train rows``.
        windows: Their windows.
        asked: An `AskedContext` for each row.
        places: `window_places` of them.
        longest: Tokens that a predicted answer may have.
    """
    if cut := int(windows.cut.sum()):
        yield f"{cut:,} of {rows} have a question of more than {windows.longest_question} tokens, cut to that."
    if several := int((np.diff(windows.sites.starts) > 1).sum()):
        yield f"{several:,} of {rows} are read in several windows, {len(windows.tokens):,} in all."
    # Place 0 stands for no answer, and is less than that where there is no window.
    whole = places[:, :, 0] > 0
    some = np.array([bool(row.spans) for row in asked], dtype=bool)
    if lost := int((some & ~whole.any(axis=1)).sum()):
        yield (
            f"{lost:,} of {rows} have an answer that is whole in no window; they are learned as rows without one. "
            "Raise doc_stride or model.max_length."
        )
    length = np.where(whole, places[:, :, 1] - places[:, :, 0] + 1, 0).max(axis=1)
    if long := int((length > longest).sum()):
        yield f"{long:,} of {rows} have an answer of more than {longest} tokens (max_answer_length), never predicted."
