"""A batch whose rectangles are of one task each, as a batch for every task."""

from collections.abc import Iterator
from itertools import accumulate

from hf_mtl.batch import Batch, Packed, Rectangles


def by_task(inputs: Batch) -> Iterator[tuple[str, Batch]]:
    """Give every task with rows, and its batch.

    Args:
        inputs: A batch of the arrangement ``split``: rows are ordered by task, and rectangles are of one task each.
    """
    for (name, (start, stop)), packed in zip(inputs["segments"].items(), _parts(inputs["packed"]), strict=True):
        batch: Batch = {
            **inputs,
            "packed": packed,
            "segments": {name: (0, stop - start)},
            "labels": {task: labels for task, labels in inputs["labels"].items() if task == name},
        }
        if "sites" in inputs:
            batch["sites"] = {task: sites for task, sites in inputs["sites"].items() if task == name}
        if "row_weights" in inputs:
            batch["row_weights"] = {task: mine for task, mine in inputs["row_weights"].items() if task == name}
        if "noise" in inputs and start < stop:  # without, a row stands in for none, see `hf_mtl.data.loader`
            batch["noise"] = {**inputs["noise"], "rows": inputs["noise"]["rows"][start:stop]}
        yield name, batch


def _parts(packed: Packed) -> Iterator[Packed]:
    """Cut rows by task."""
    ends = [0, *accumulate(packed["lengths"])]
    rectangle = place = 0
    cuts = packed["rectangles"]["cuts"]
    for task, start, stop in packed["cut"]:
        last = rectangle
        while last < len(cuts) and cuts[last][0][0] == task:
            last += 1
        shapes = packed["rectangles"]["shapes"][rectangle:last]
        places = sum(rows * length for rows, length in shapes)
        tokens = slice(ends[start], ends[stop])
        part: Packed = {
            "input_ids": packed["input_ids"][tokens],
            "offsets": packed["offsets"][start : stop + 1] - ends[start],
            "lengths": packed["lengths"][start:stop],
            "rectangles": _some(packed["rectangles"], slice(rectangle, last), slice(place, place + places), tokens),
            "cut": [(task, 0, stop - start)],
        }
        if "token_type_ids" in packed:
            part["token_type_ids"] = packed["token_type_ids"][tokens]
        yield part
        rectangle, place = last, place + places


def _some(rectangles: Rectangles, some: slice, places: slice, tokens: slice) -> Rectangles:
    source, place = rectangles["source"], rectangles["place"]
    return {
        "shapes": rectangles["shapes"][some],
        "source": None if source is None else source[places] - tokens.start,
        "place": None if place is None else place[tokens] - places.start,
        "masks": rectangles["masks"][some],
        "pad_id": rectangles["pad_id"],
        "cuts": rectangles["cuts"][some],
    }
