"""A batch whose length groups are of one task each, as a batch for every task."""

from collections.abc import Iterator

from hf_mtl.batch import Batch


def by_task(inputs: Batch) -> Iterator[tuple[str, Batch]]:
    """Give every task with rows, and its batch.

    Args:
        inputs: A batch of the layout ``split``: groups follow the order of ``segments``.
    """
    groups, first = list(inputs["groups"]), 0
    for name, (start, stop) in inputs["segments"].items():
        mine = [groups.pop(0)]
        while groups and groups[0]["cut"][0][0] == mine[0]["cut"][0][0]:
            mine.append(groups.pop(0))
        nobody = start == stop  # the row that stands in for none, see `hf_mtl.data.loader`
        order = inputs["order"]
        batch: Batch = {
            **inputs,
            "groups": mine,
            # The place of a row among the encodings of its task alone.
            "order": order.new_zeros(1) if nobody else order[start:stop] - first,
            "segments": {name: (0, stop - start)},
            "labels": {task: labels for task, labels in inputs["labels"].items() if task == name},
        }
        first += sum(len(group["input_ids"]) for group in mine)
        if "noise" in inputs and not nobody:
            batch["noise"] = {**inputs["noise"], "rows": inputs["noise"]["rows"][start:stop]}
        yield name, batch
