"""A head's affine maps in the layers of an architecture's own head, where these can hold them exactly."""

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hf_mtl.modeling.heads.plain_form import Affine, PlainForm


def head_layers(model: PreTrainedModel) -> dict[str, nn.Linear]:
    """Return the affine layers behind an encoder by name, in the order in which they are applied.

    Args:
        model: A model of transformers with a head.
    """
    prefix = model.base_model_prefix
    linear = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    pooler = {name: layer for name, layer in linear.items() if name.startswith(f"{prefix}.pooler")}
    return pooler | {name: layer for name, layer in linear.items() if not name.startswith(f"{prefix}.")}


def hold(layers: list[nn.Linear], form: PlainForm) -> str | None:
    """Write affine maps into layers.

    What stands between two layers is not looked at. A map alone goes through a pair of units for each output, ``z``
    and ``-z``, as ``f(z) - f(-z) = z`` for ReLU, GELU and SiLU. Units that are left over have weights of 0.

    Args:
        layers: The layers, the last one last.
        form: The maps.

    Returns:
        Why they do not fit, in words; None: they do.
    """
    maps = list(form.layers)
    if len(layers) == 2 and len(maps) == 1:
        outputs, units = len(maps[0].bias), layers[0].out_features
        if 2 * outputs > units:
            return f"a head with a hidden layer of {units} units holds an affine map of {units // 2} outputs at most"
        one = torch.eye(outputs).double()
        pairs = Affine(torch.cat([maps[0].weight, -maps[0].weight]), torch.cat([maps[0].bias, -maps[0].bias]))
        maps = [pairs, Affine(torch.cat([one, -one], dim=1), torch.zeros(outputs).double())]
    if len(layers) != len(maps):
        return f"it is {_count(len(maps))}, and that has {_count(len(layers))}"
    if len(maps) == 2 and len(maps[0].bias) > layers[0].out_features:
        return f"it has {len(maps[0].bias)} hidden units, and that has {layers[0].out_features}"
    for layer, affine in zip(layers, maps, strict=True):
        if reason := _write(layer, affine):
            return reason
    return None


def _write(layer: nn.Linear, affine: Affine) -> str | None:
    """Write a map into the first rows and columns of a layer, and 0 elsewhere."""
    rows, columns = affine.weight.shape
    if rows > layer.out_features or columns > layer.in_features:
        return f"it maps {columns} numbers to {rows}, and that {layer.in_features} to {layer.out_features}"
    if layer.bias is None and bool(affine.bias.any()):
        return "it adds a shift, and that has no bias"
    with torch.no_grad():
        layer.weight.zero_()[:rows, :columns] = affine.weight.to(layer.weight.dtype)
        if layer.bias is not None:
            layer.bias.zero_()[:rows] = affine.bias.to(layer.bias.dtype)
    return None


def plain_outputs(model: PreTrainedModel, ids: Tensor, mask: Tensor) -> Tensor:
    """Run a plain model, and give its outputs as a head of hf_mtl gives them.

    Args:
        model: A model of transformers with a head.
        ids: Token ids [B, L].
        mask: 1 for real tokens [B, L].

    Returns:
        Logits [B, C] or [B, L, C]; of a model for multiple choice, to which the rows are the choices of one, [B, 1].
    """
    if "MultipleChoice" in type(model).__name__:
        scores: Tensor = model(input_ids=ids[None], attention_mask=mask[None]).logits
        return scores.reshape(-1, 1)
    found = model(input_ids=ids, attention_mask=mask)
    if "start_logits" in found:
        return torch.stack([found.start_logits, found.end_logits], dim=-1)
    logits: Tensor = found.logits
    return logits


def _count(layers: int) -> str:
    return {0: "no layers", 1: "one layer", 2: "two layers"}.get(layers, f"{layers} layers")
