"""Texts without anything to see."""

import pyarrow as pa
import pyarrow.compute as pc

# Blanks, controls and formatting, such as zero-width spaces, byte order marks and soft hyphens; and the letters and
# marks that Unicode draws as nothing: fillers of Hangul, the blank of Braille, joiners, selectors of variants.
_UNSEEN = (
    r"\p{Z}\p{Cc}\p{Cf}\x{034f}\x{115f}\x{1160}\x{17b4}\x{17b5}\x{180b}-\x{180f}\x{2800}\x{3164}\x{fe00}-\x{fe0f}"
    r"\x{ffa0}\x{e0100}-\x{e01ef}"
)


def blank_texts(values: pa.Array) -> pa.Array:
    """Tell which texts hold nothing that can be seen; null where there is no text.

    Args:
        values: Texts [n].
    """
    return pc.invert(pc.match_substring_regex(values, f"[^{_UNSEEN}]"))
