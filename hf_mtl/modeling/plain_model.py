"""A plain model of transformers for a head that is not the architecture's own."""

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
import transformers
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

from hf_mtl.errors import Mistake, ModelError, one_line
from hf_mtl.modeling.encoded import Encoded, Pooling
from hf_mtl.modeling.heads.native import NativeHead, has_native_head, reads_last_token
from hf_mtl.modeling.heads.plain_form import PlainForm
from hf_mtl.modeling.kin import kin_of, weights_of_kin
from hf_mtl.modeling.padded import encode_padded
from hf_mtl.modeling.plain_head import head_layers, hold, plain_outputs
from hf_mtl.modeling.task_module import TaskModule

_LENGTHS = (7, 3, 5)
_ONNX = "--format onnx takes every head"


class PlainModels:
    """Finds the plain model that holds a task's head exactly, and tries it out.

    Args:
        encoder: The backbone.
        weights: Its weights, without adapters.
        module: The task's head and statistics.
        name: The task, for messages.
        pooling: How one vector is made of a text's states.
        tokenizer: The tokenizer that is written beside the model.
        describe: Writes into a config what the task's outputs are.
    """

    def __init__(
        self,
        encoder: PreTrainedModel,
        weights: Mapping[str, Tensor],
        module: TaskModule,
        name: str,
        pooling: Pooling,
        tokenizer: Any,
        describe: Callable[[PreTrainedConfig], None],
    ):
        self.encoder, self.weights, self.module, self.name = encoder, weights, module, name
        self.pooling, self.tokenizer, self.describe = pooling, tokenizer, describe

    def find(self) -> PreTrainedModel:
        """Return the model, in float32: of the backbone's architecture, or of one with the same encoder.

        Raises:
            ModelError: If none holds the head; says why.
        """
        form = self._form()
        reasons = []
        for config, weights in self._candidates():
            model, reason = self._build(config, weights, form)
            if model is not None:
                return model
            reasons.append(reason)
        raise self._refused(f"no {self.module.task.auto_model} of transformers holds it: {reasons[0]}")

    def _refused(self, reason: str) -> ModelError:
        """Say why the head stays here, and which one would not."""
        task, config = self.module.task, self.encoder.config
        works, affine = "", self.module.statistics.affine()
        # The native head of a decoder has no bias, which could hold the mean of targets.
        shifted = reads_last_token(config) and affine is not None and bool(affine[0].any())
        if has_native_head(config) and NativeHead.unsuited(task, config) is None and not shifted:
            works = "Head 'native' can be exported; "
        elif "one layer" in reason and task.outputs_per in ("token", "window"):
            works = "Head 'linear' can be exported; "
        elif "one layer" in reason or "no bias" in reason:
            works = "Head {type: linear, bias: false} can be exported, for targets with standardize: false; "
        problem = f"found '{self.module.head.name}', and {reason}"
        return ModelError(Mistake(f"tasks.{self.name}.head", problem, f"{works}{_ONNX}"))

    def _form(self) -> PlainForm:
        """Return the head's maps with outputs in the units of the labels, temperature included."""
        form, affine = self.module.head.plain_form(), self.module.statistics.affine()
        if form is None:
            raise self._refused("no AutoModel of transformers has such layers")
        if affine is not None:
            form = form.scaled(affine[1], affine[0])
        return form if self.module.temperature is None else form.scaled(1 / self.module.temperature)

    def _candidates(self) -> Iterator[tuple[PreTrainedConfig, Mapping[str, Tensor]]]:
        own = copy.deepcopy(self.encoder.config)
        yield own, self.weights
        if (kin := kin_of(own)) is not None:
            yield kin, weights_of_kin(self.weights, own)

    def _build(
        self, config: PreTrainedConfig, weights: Mapping[str, Tensor], form: PlainForm
    ) -> tuple[PreTrainedModel | None, str]:
        """Build a model, and give it, or why it is not the task's."""
        auto_model = getattr(transformers, str(self.module.task.auto_model))
        if type(config) not in auto_model._model_mapping:
            return None, f"there is none for '{config.model_type}'"
        config.dtype = torch.float32
        config.num_labels = len(form.layers[-1].bias)
        if getattr(config, "pad_token_id", None) is None:  # a decoder's head looks for the last token by it
            config.pad_token_id = self.tokenizer.pad_token_id
        self.describe(config)
        with torch.random.fork_rng():  # building draws weights, which must not move a training run's random numbers
            model = auto_model.from_config(config).eval()
        name, layers = type(model).__name__, head_layers(model)
        if reason := hold(list(layers.values()), form):
            return None, f"in {name} {reason}"
        if reason := _fill(model, weights, layers):
            return None, f"{name} {reason}"
        try:
            same = self._same(model, form)
            # What is small goes through a tanh almost as it is; large numbers do not.
            hold(list(layers.values()), form.strong())
            same = same and self._same(model, form.strong())
        except Exception as error:  # each architecture asks for its own inputs
            return None, f"{name} does not take texts as they are trained on: {one_line(error)}"
        if not same:
            return None, f"{name} has other layers in its head, or reads other states than pooling '{self.pooling}'"
        hold(list(layers.values()), form)
        return model, ""

    def _trials(self, model: PreTrainedModel) -> Iterator[tuple[Tensor, Tensor]]:
        """Make rows of random tokens, and of two texts as the tokenizer gives them."""
        special = {getattr(model.config, f"{kind}_token_id", None) for kind in ("pad", "bos", "eos", "cls", "sep")}
        allowed = [token for token in range(model.config.vocab_size) if token not in special]
        picks = torch.randint(
            len(allowed), (len(_LENGTHS), max(_LENGTHS)), generator=torch.Generator().manual_seed(0)
        )
        mask = (torch.arange(max(_LENGTHS)) < torch.tensor(_LENGTHS).unsqueeze(1)).long()
        yield torch.where(mask == 1, torch.tensor(allowed)[picks], int(model.config.pad_token_id or 0)), mask
        given = self.tokenizer(["a", "the a of an a in the a"], padding=True, return_tensors="pt")
        yield given["input_ids"], given["attention_mask"]

    @torch.no_grad()
    def _same(self, model: PreTrainedModel, form: PlainForm) -> bool:
        """Tell whether a model gives what the head's maps make of the same encoder's states."""
        return all(self._same_of_rows(model, form, ids, mask) for ids, mask in self._trials(model))

    def _same_of_rows(self, model: PreTrainedModel, form: PlainForm, ids: Tensor, mask: Tensor) -> bool:
        rows = encode_padded(model.base_model, ids, mask, None, pooler=False)
        assert isinstance(rows, Encoded)
        each = self.module.task.outputs_per in ("token", "window")
        expected = form(rows.states if each else rows.pooled(self.pooling))
        found = plain_outputs(model, ids, mask)
        found = found[mask.bool()] if each else found
        if found.shape != expected.shape:
            return False
        return bool(((found.double() - expected).abs() <= 1e-5 * expected.abs().max().clamp(min=1e-3)).all())


def _fill(model: PreTrainedModel, weights: Mapping[str, Tensor], layers: Mapping[str, Any]) -> str | None:
    """Write the encoder's weights into a model; returns what it has that the encoder lacks, in words."""
    prefix = f"{model.base_model_prefix}."
    held = {f"{name}.{kind}" for name in layers for kind in ("weight", "bias")}
    state = model.state_dict()
    for key in state:
        if key in held:
            continue
        value = weights.get(key.removeprefix(prefix)) if key.startswith(prefix) else None
        if value is None or value.shape != state[key].shape:
            return f"has weights that the encoder lacks, such as {key}"
        state[key] = value
    left = {key for key in weights if f"{prefix}{key}" not in state and not key.startswith("pooler.")}
    if left:
        return f"has no place for a weight of the encoder, {min(left)}"
    model.load_state_dict(state)
    return None
