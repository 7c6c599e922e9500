"""One task as a checkpoint that needs no hf_mtl."""

import copy
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from hf_mtl.errors import Mistake, ModelError
from hf_mtl.file_modes import give_usual_modes
from hf_mtl.foreign_json import read_object
from hf_mtl.modeling.adapters import merged_weights
from hf_mtl.modeling.configuration import MultiTaskConfig
from hf_mtl.modeling.encoded import Pooling
from hf_mtl.modeling.heads.native import NativeHead, reads_last_token
from hf_mtl.modeling.plain_model import PlainModels
from hf_mtl.modeling.private_adapters import PrivateAdapters
from hf_mtl.modeling.read_back import check_read_back
from hf_mtl.modeling.task_module import TaskModule
from hf_mtl.modeling.tokenizer_files import Savable, find_tokenizer, save_without_state
from hf_mtl.tasks import Task

_OTHER_WAYS = "Load it with MultiTaskModel.from_pretrained, or export it with --format onnx"


def export_task(
    encoder: PreTrainedModel,
    module: TaskModule,
    name: str,
    directory: Path,
    tokenizer: object,
    max_length: int | None = None,
    pooling: Pooling = "cls",
    private: PrivateAdapters | None = None,
) -> str:
    """Write an encoder and a head as a checkpoint of the task's class in transformers, and the tokenizer.

    Class logits of a native head are the same bits, to rounding where adapters are merged into the encoder's weights.
    Another head is written into the layers of an architecture's own one where these hold it exactly: linear maps, and
    those with one hidden layer, after the GELU that hf_mtl has; probabilistic heads as what they predict. The
    architecture may be another one with the same encoder, as ELECTRA for BERT. What is written is tried out first.

    A temperature is folded into the last layer; so are a regression's mean and standard deviation, for outputs in
    original units. Thresholds of labels stand in the config as ``thresholds``, and no class of transformers applies
    them. Where anything is folded in, or the head is not native, the checkpoint is in float32, whatever the model is
    in. A tokenizer that is told to truncate cuts texts as they were cut in training.

    Args:
        encoder: The backbone.
        module: The task's head and statistics.
        name: The task, for messages.
        directory: Where to write; made if it does not exist. What was exported there before is replaced.
        tokenizer: The tokenizer, or where it is, as for `find_tokenizer`.
        max_length: Longest text in tokens of tasks without a limit of their own; None: the tokenizer's.
        pooling: How one vector is made of a text's states.
        private: The adapters that tasks have for themselves; None: they have none.

    Returns:
        The class of transformers that was written.

    Raises:
        ModelError: If transformers has no such task, or no model of it holds the head, there is no tokenizer, or one
            that transformers takes for another, or the encoder holds other weights than the backbone's and its
            adapters'; or a model of all tasks lies in the directory, or it is a file.
    """
    _check_place(directory)
    task = module.task
    if task.auto_model is None:
        problem = f"no AutoModel of transformers has the outputs of a task of type {task.type}"
        raise ModelError(Mistake(f"tasks.{name}", problem, _OTHER_WAYS))
    if task.not_exported is not None:
        raise ModelError(Mistake(f"tasks.{name}", task.not_exported, _OTHER_WAYS))
    found = _cutting_as(task, find_tokenizer(tokenizer), max_length)
    weights = _weights_of(name, encoder, private)
    if isinstance(module.head, NativeHead):
        model = _of_native(encoder, weights, module, module.head, name, found)
    else:
        describe = partial(_describe_outputs, task=task)
        model = PlainModels(encoder, weights, module, name, pooling, found, describe).find()
    check_read_back(found, model.config, f"tasks.{name}")
    model.save_pretrained(directory)
    give_usual_modes(directory.glob("model*.safetensors"))
    save_without_state(found, directory)
    return type(model).__name__


def _check_place(directory: Path) -> None:
    """Refuse what would be lost, as a run is where its own folder is given.

    Raises:
        ModelError: If the directory is a file, or holds a model of all tasks.
    """
    config = directory / "config.json"
    if directory.is_file():
        raise ModelError(Mistake("directory", f"{directory} is a file", "Give another folder"))
    if config.is_file() and read_object(config).get("model_type") == MultiTaskConfig.model_type:
        problem = f"{directory} holds a model of all tasks, which would be replaced by that of one"
        raise ModelError(Mistake("directory", problem, "Give another folder"))


def _weights_of(name: str, encoder: PreTrainedModel, private: PrivateAdapters | None) -> Mapping[str, Tensor]:
    """Return the encoder's weights as a task sees them, with all adapters merged."""
    weights = merged_weights(encoder)
    if private is None:
        return weights
    with torch.no_grad():
        return private.merged_into(name, weights, encoder)


def _of_native(
    encoder: PreTrainedModel,
    weights: Mapping[str, Tensor],
    module: TaskModule,
    head: NativeHead,
    name: str,
    tokenizer: Savable,
) -> PreTrainedModel:
    """Put an encoder and a native head together."""
    affine = module.statistics.affine()
    config = copy.deepcopy(head.model.config)
    config.vocab_size = encoder.config.vocab_size  # which may have been resized since the head was built
    folded = affine is not None or module.temperature is not None
    # A mean of 1995.3 would be 1992 as a bias in bfloat16.
    config.dtype = torch.float32 if folded else encoder.dtype
    _describe_outputs(config, module.task)
    if module.task.outputs_per == "row" and reads_last_token(config):
        config.pad_token_id = _padding_of(tokenizer, name)
    with torch.random.fork_rng():  # building draws weights, which must not move a training run's random numbers
        model: PreTrainedModel = getattr(transformers, str(module.task.auto_model)).from_config(config)
    _copy_weights(model, weights, head, name)
    if affine is not None and _last_layer(model, head).bias is None and bool(affine[0].any()):
        problem = (
            f"its standardised targets have a mean, and the head of '{config.model_type}' has no bias to hold it"
        )
        raise ModelError(Mistake(f"tasks.{name}", problem, f"Train it with standardize: false. {_OTHER_WAYS}"))
    if affine is not None:
        _fold(_last_layer(model, head), *(numbers.cpu() for numbers in affine))
    if module.temperature is not None:
        factors = torch.full((head.outputs,), 1 / module.temperature)
        _fold(_last_layer(model, head), torch.zeros(head.outputs), factors)
    return model


def _cutting_as(task: Task, tokenizer: Savable, max_length: int | None) -> Savable:
    """Have a copy of a tokenizer cut as the task's texts are cut."""
    limit = max_length if task.max_length is None else task.max_length
    if limit is not None:
        tokenizer.model_max_length = limit
    if task.truncation_side is not None:
        tokenizer.truncation_side = task.truncation_side
        # Of what was set since a tokenizer was made, transformers writes the length alone.
        tokenizer.init_kwargs["truncation_side"] = task.truncation_side
    return tokenizer


def _describe_outputs(config: PreTrainedConfig, task: Task) -> None:
    config.id2label = dict(enumerate(task.output_names))
    config.label2id = {name: index for index, name in enumerate(task.output_names)}
    config.problem_type = task.problem_type
    for field, value in task.exported().items():
        setattr(config, field, value)


def _padding_of(tokenizer: Savable, name: str) -> int:
    """Return the token of padding, by which a decoder's classification finds the last token of a row.

    Raises:
        ModelError: If there is none, or rows end in it: the last token would be taken for padding.
    """
    found, key = getattr(tokenizer, "pad_token_id", None), f"tasks.{name}"
    if found is None:
        problem = "the tokenizer has no token of padding, and the last token of a row is found by it"
        raise ModelError(Mistake(key, problem, "Set tokenizer.pad_token, to a token that ends no text"))
    encoded: Any = tokenizer("a")  # type: ignore[operator]
    ids = encoded["input_ids"]
    if ids and ids[-1] == found:
        problem = f"the tokenizer ends texts in its token of padding, {found}, by which the last token is found"
        raise ModelError(Mistake(key, problem, "Set tokenizer.pad_token to another token"))
    return int(found)


def _copy_weights(model: PreTrainedModel, encoder: Mapping[str, Tensor], head: NativeHead, name: str) -> None:
    prefix, wanted = model.base_model_prefix, model.state_dict().keys()
    weights = {f"{prefix}.{key}": value for key, value in encoder.items()} | head.model.state_dict()
    # Heads of other tasks may read a pooler that the model of this one does not have.
    weights = {key: weights[key] for key in weights if key in wanted or not key.startswith(f"{prefix}.pooler.")}
    if weights.keys() != wanted:
        odd = sorted(weights.keys() ^ wanted)
        remedy = "Merge adapters into the encoder first"
        raise ModelError(Mistake(f"tasks.{name}", f"the encoder is not a plain one, see {odd[0]}", remedy))
    model.load_state_dict(weights)


def _last_layer(model: PreTrainedModel, head: NativeHead) -> nn.Linear:
    # Looked up in the head, where no layers of the encoder come after it.
    names = [name for name, module in head.model.named_modules() if isinstance(module, nn.Linear)]
    layer: nn.Linear = model.get_submodule(names[-1])
    return layer


def _fold(layer: nn.Linear, mean: Tensor, std: Tensor) -> None:
    """Let a layer give ``std * output + mean`` in place of ``output``."""
    with torch.no_grad():
        layer.weight.mul_(std.unsqueeze(1))
        if layer.bias is not None:
            layer.bias.mul_(std).add_(mean)
