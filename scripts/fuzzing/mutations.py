"""Mutations of bytes, and of trees of plain values; each is a function of a draw."""

import copy
import random
from collections.abc import Sequence
from typing import Any

FRAGMENTS = (
    b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\x1b[2J", b"\xc2\x85", b"\xe2\x80\xa8", b"\t", b"\r", b"\n",
    b"\n\n---\n",
    b": ", b"- ", b"? ", b"[", b"]", b"{", b"}", b", ", b"'", b'"', b"|\n", b">\n", b"&a ", b"*a", b"<<: *a\n",
    b"!!int ",
    b"!!python/object:os.system ", b"!!binary ", b"#", b"%YAML 9.9\n", b"null", b"~", b"true", b".inf", b".nan",
    b"-.inf",
    b"1e400", b"0x" + b"f" * 5000, b"9" * 5000, b"-1", b"0", b"1_000", b"extends: ", b"extends: [a.yaml, a.yaml]\n",
    b"[" * 2000, b"{a: " * 500, b"- " * 900, b"x" * 20_000,
)  # fmt: skip

HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 10**6, 10**9, 10**12, 10**18, 2**31, 2**32, 2**63, -(2**63), 10**30, -(10**30),
    0.5,
    1.5, -0.5, 1e-300, 1e300, float("inf"), float("-inf"), float("nan"), "", " ", "\x00", "a\nb", "\x1b[2J", "None",
    "1", "nan", "../../x", "/", "~", "~nobody/x", ".", "/dev/zero", "python:", "python:os", "python:.", "hf://x",
    "a" * 300,
    "é" * 70, "\ud7ff", "%s", "{0}", "*", "[", "true", "no", [], {}, [[]], [{}], [None], {"": None}, [1, "a", None],
    {"a": 1}, {"a": {"b": []}}, ["a", "a"], [0.5] * 40, list(range(50)), {"type": None}, {"name": []}, {"name": "uw"},
    {str(i): i for i in range(40)},
)  # fmt: skip


def mutate_bytes(data: bytes, others: Sequence[bytes], draw: random.Random) -> bytes:
    """Change some bytes, a few places, or whole lines.

    Args:
        data: What is mutated.
        others: Where fragments come from.
        draw: Decides.
    """
    for _ in range(draw.choice((1, 1, 2, 3, 8))):
        data = draw.choice(_ON_BYTES)(data, others, draw)
    return data


def _flip(data: bytes, others: Sequence[bytes], draw: random.Random) -> bytes:
    changed = bytearray(data or b"\n")
    for _ in range(draw.choice((1, 2, 10))):
        changed[draw.randrange(len(changed))] = draw.randrange(256)
    return bytes(changed)


def _delete(data: bytes, others: Sequence[bytes], draw: random.Random) -> bytes:
    start, end = _span(data, draw)
    return data[:start] + data[end:]


def _duplicate(data: bytes, others: Sequence[bytes], draw: random.Random) -> bytes:
    start, end = _span(data, draw)
    return data[:end] + data[start:end] * draw.choice((1, 2, 50)) + data[end:]


def _insert(data: bytes, others: Sequence[bytes], draw: random.Random) -> bytes:
    at = draw.randrange(len(data) + 1)
    return data[:at] + draw.choice(FRAGMENTS) + data[at:]


def _splice(data: bytes, others: Sequence[bytes], draw: random.Random) -> bytes:
    other = draw.choice(others)
    start, end = _span(other, draw)
    at = draw.randrange(len(data) + 1)
    return data[:at] + other[start:end] + data[at:]


def _on_lines(data: bytes, others: Sequence[bytes], draw: random.Random) -> bytes:
    lines = data.splitlines(keepends=True) or [b"\n"]
    place, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    kind = draw.randrange(5)
    if kind == 0:
        lines[place] = b" " * draw.choice((1, 2, 4)) + lines[place]
    elif kind == 1:
        lines[place] = lines[place].lstrip(b" ")
    elif kind == 2:
        del lines[place]
    elif kind == 3:
        lines[place], lines[other] = lines[other], lines[place]
    else:
        lines[place:place] = lines[min(place, other) : max(place, other) + 1]
    return b"".join(lines)


def _span(data: bytes, draw: random.Random) -> tuple[int, int]:
    start = draw.randrange(len(data) + 1)
    return start, min(start + draw.choice((1, 3, 20, 200)), len(data))


_ON_BYTES = (_flip, _delete, _duplicate, _insert, _splice, _on_lines, _on_lines)


def mutate_tree(tree: Any, others: Sequence[Any], draw: random.Random) -> Any:
    """Replace, remove, move or add a few values; the tree is changed in place, and answered.

    Args:
        tree: Dictionaries, lists and scalars.
        others: Values to put in, beside `HOSTILE`.
        draw: Decides.
    """
    for _ in range(draw.choice((1, 1, 2, 4))):
        places = list(_places(tree))
        if not places:
            return tree
        owner, key = draw.choice(places)
        kind = draw.randrange(8)
        if kind == 0:
            del owner[key]
        elif kind == 1:
            other, its_key = draw.choice(places)
            owner[key] = copy.deepcopy(other[its_key])
        elif kind == 2 and isinstance(owner, dict):
            owner[f"{key}{draw.choice(('', 's', '_', ' ', '.0'))}"] = owner.pop(key)
        elif kind == 3:
            owner[key] = copy.deepcopy(draw.choice(others)) if others else None
        elif kind == 4:
            owner[key] = [owner[key]] * draw.choice((1, 2, 30))
        elif kind == 5:
            owner[key] = {str(draw.choice(("a", "name", "type", "emotion"))): owner[key]}
        else:
            owner[key] = hostile(draw)
    return tree


def hostile(draw: random.Random) -> Any:
    """Return a value that no one expects; a copy, which may be mutated."""
    return copy.deepcopy(draw.choice(HOSTILE))


def _places(tree: Any) -> Any:
    """List every container below a tree with each of its keys; one that is met twice counts once."""
    waiting, seen = [tree], set[int]()
    while waiting:
        found = waiting.pop()
        if id(found) in seen or not isinstance(found, (dict, list)):
            continue
        seen.add(id(found))
        for key in list(found) if isinstance(found, dict) else range(len(found)):
            yield found, key
            waiting.append(found[key])
