"""Heads that were taken over from another model rest while they have no rows: not a bit of them changes."""

from collections.abc import Collection, Iterator

from torch import nn

from hf_mtl.modeling.model import MultiTaskModel


def rest_heads(model: MultiTaskModel, trained: Collection[str]) -> list[str]:
    """Take the heads of tasks that were taken over and are not trained out of training, and all others back in.

    A parameter without a gradient of its own could still be decayed, averaged over processes or moved by an
    optimizer's moments; one that needs none reaches no optimizer. Layers that a resting head shares rest with it.

    Args:
        model: The model, before an optimizer is made for it.
        trained: The tasks that have rows to train on.

    Returns:
        The tasks that rest.
    """
    heads = model.heads
    for parameter in heads.resting:
        parameter.requires_grad_(True)
    idle = [name for name in model.config.origins or {} if name not in trained]
    # Whoever froze a parameter by hand finds it frozen afterwards too.
    resting = [parameter for parameter in _parameters(model, idle) if parameter.requires_grad]
    for parameter in resting:
        parameter.requires_grad_(False)
    heads.resting = resting
    return idle


def resting_layers(model: MultiTaskModel, trained: Collection[str]) -> dict[str, list[str]]:
    """Return the tasks that are trained though their heads, or layers of these, rest, and for which tasks."""
    taken, heads = model.config.origins or {}, model.heads
    found: dict[str, list[str]] = {}
    for tasks in [*heads.sharing.values(), *(heads.tasks_of(name) for name in heads.distinct)]:
        idle = [name for name in tasks if name in taken and name not in trained]
        if idle:
            found |= {name: idle for name in tasks if name in trained}
    return found


def _parameters(model: MultiTaskModel, tasks: Collection[str]) -> Iterator[nn.Parameter]:
    """Yield the parameters that the outputs of some tasks come from, beside the encoder's."""
    for name in tasks:
        yield from model.heads.parameters_of(name)
        if model.private_adapters is not None:
            yield from model.private_adapters.parameters_of(name)
    for key, sharing in model.heads.sharing.items():
        if any(name in tasks for name in sharing):
            yield from model.heads.get_submodule(key).parameters()
