"""Figures that may fail: nothing that was computed is lost with one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hf_mtl.errors import one_line
from hf_mtl.shown import get_logger

logger = get_logger(__name__)


def drawn(path: Path, figure: Callable[..., None], *values: Any) -> bool:
    """Draw a figure, or say why that cannot be done.

    Args:
        path: Its file.
        figure: Draws it into a file.
        values: What is drawn, after the file.

    Returns:
        Whether it is there.
    """
    try:
        figure(path, *values)
    except Exception as error:  # a full disk, a matplotlib that is missing or set up for elsewhere, an odd value
        logger.warning(f"{path} was not drawn: {one_line(error)}.")
        return False
    return True
