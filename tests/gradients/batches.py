"""Cut batches of random texts for the tiny backbones, and the task gradients that autograd gives."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hf_mtl.balancing import GradientOptions
from hf_mtl.gradients import SharedGradients, Wanted, shared_parameters
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.processes import Processes
from hf_mtl.training.step.task_batches import by_task
from tests.modeling.families import TASKS, make_texts, padding_of
from tests.packs import pack

JacobianRows = list[dict[nn.Parameter, Tensor]]
LENGTHS = {"train": [3, 5, 11], "emo.bank": [4, 9, 12, 10], "intensity": [5, 12]}
"""Tokens of each task's rows."""


def batch(
    family: str, layout: str = "segments", seed: int = 0, lengths: Mapping[str, Sequence[int]] = LENGTHS
) -> Any:
    """Rows of two lengths, in a rectangle each, or in two of each task."""
    order = [(task, size) for task, name in enumerate(TASKS) for size in lengths[name]]
    texts, masks = make_texts([size for _, size in order], seed, padding_of(family))
    short = [row for row, (_, size) in enumerate(order) if size <= 6]
    long = [row for row, (_, size) in enumerate(order) if size > 6]
    groups = [short, long]
    if layout == "split":
        groups = [[row for row in group if order[row][0] == task] for task in range(len(TASKS)) for group in groups]
        groups = [group for group in groups if group]
    tasks = torch.tensor([task for task, _ in order])
    segments, labels = {}, {}
    generator = torch.Generator().manual_seed(seed)
    for index, (name, task) in enumerate(TASKS.items()):
        mine = (tasks == index).nonzero().flatten()
        segments[name] = (int(mine[0]), int(mine[-1]) + 1)
        shape = (len(mine), task.num_outputs)
        numbers = torch.randn(shape, generator=generator)
        labels[name] = numbers.argmax(1) if not task.real_valued else numbers.double()
    packed = pack(texts, masks, groups, tasks=tasks.tolist(), pad_id=padding_of(family))
    return {"packed": packed, "segments": segments, "labels": labels}


def parts(model: MultiTaskModel, cut: Any, layout: str = "segments") -> Iterator[Tensor]:
    """Each task's mean loss, penalties too; of the layout ``split`` out of a forward for each task."""
    for batch in [cut] if layout == "segments" else [mine for _, mine in by_task(cut)]:
        outputs = model(**batch)
        for name, losses in outputs.row_losses.items():
            yield losses.mean() + (outputs.row_penalties[name].mean() if name in outputs.row_penalties else 0.0)


def by_autograd(model: MultiTaskModel, cut: Any, layout: str = "segments", seed: int = 5) -> JacobianRows:
    """One backward for each task."""
    torch.manual_seed(seed)
    parameters = shared_parameters(model)
    rows = []
    for part in parts(model, cut, layout):
        found = torch.autograd.grad(part, parameters, retain_graph=True, allow_unused=True)
        pairs = zip(parameters, found, strict=True)
        rows.append({parameter: torch.zeros_like(parameter) if g is None else g for parameter, g in pairs})
    return rows


def shared(model: MultiTaskModel, family: str, **options: Any) -> SharedGradients:
    """The object under test."""
    chosen = {name: options.pop(name) for name in ("hold", "layout") if name in options}
    probe = batch(family, seed=9)
    return SharedGradients(model, len(TASKS), GradientOptions(**chosen), probe, Processes(), Wanted(**options))


def run(gradients: SharedGradients, model: MultiTaskModel, batches: Sequence[Any], seed: int = 5) -> Any:
    """One step of some micro-batches, each of equal weight."""
    torch.manual_seed(seed)
    gradients.begin()
    for cut in batches:
        if gradients.layout == "segments":
            with gradients.micro_batch(cut):
                torch.stack(list(parts(model, cut))).sum().backward()
            continue
        for task, part in enumerate(parts(model, cut, "split")):
            part.backward()
            gradients.take(task)
    return gradients.close()


def rows_of(held: Any, model: MultiTaskModel) -> JacobianRows:
    """Each task's gradient, parameter by parameter."""
    parameters = shared_parameters(model)
    rows = []
    for weights in torch.eye(len(TASKS)):
        found = dict(held.combine(weights))
        rows.append({parameter: found.get(parameter, torch.zeros_like(parameter)) for parameter in parameters})
    return rows


def difference(found: JacobianRows, expected: JacobianRows) -> float:
    """Largest norm of a parameter's difference, over the norm of the task's whole gradient."""
    worst = 0.0
    for mine, theirs in zip(found, expected, strict=True):
        whole = torch.stack([value.norm() for value in theirs.values()]).norm()
        worst = max(worst, *(float((mine[key] - value).norm() / whole) for key, value in theirs.items()))
    return worst
