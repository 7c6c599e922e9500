"""A trained model as one ONNX graph with a named output per task."""

import copy
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hf_mtl.errors import Mistake, ModelError, one_line
from hf_mtl.inference.onnx_facts import onnx_facts
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.adapters import merged_weights
from hf_mtl.modeling.encode import encoder_inputs
from hf_mtl.modeling.in_passing import in_passing

OPSET = 20
_MISSING = "is not installed: pip install hf_mtl[onnx]"


class OnnxGraph(nn.Module):
    """What is exported: token ids and mask to the outputs of each task.

    Args:
        model: The model.
        tasks: The tasks, in the order of the outputs.
    """

    def __init__(self, model: MultiTaskModel, tasks: Sequence[str]):
        super().__init__()
        self.model = model
        self.tasks = list(tasks)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """Return the outputs of the tasks: [B, C], or [B, L, C] of those that have one for each token."""
        rows = input_ids.shape[0]
        segments = {name: (0, rows) for name in self.tasks}
        logits = self.model(input_ids, attention_mask, token_type_ids, segments=segments).logits
        return tuple(_flat(logits[name], self.model.heads.of(name).task.outputs_per) for name in self.tasks)


def merged(model: MultiTaskModel, tasks: Sequence[str]) -> MultiTaskModel:
    """Return a model without adapters that computes the same, on the CPU and in float32: itself where it is so.

    Args:
        model: The model.
        tasks: The tasks for which it computes the same; one, where tasks have adapters of their own.

    Raises:
        ModelError: If several tasks have adapters of their own, which one pass of an encoder does not have.
    """
    if model.config.peft is None:
        portable = model.dtype == torch.float32 and model.device.type == "cpu"
        return model if portable else copy.deepcopy(model).to("cpu", torch.float32)
    weights, private = merged_weights(model.encoder), model.private_adapters
    if private is not None:
        if len(tasks) > 1:
            problem = f"{', '.join(tasks)} have adapters of their own, and a graph has one encoder"
            raise ModelError(Mistake("--task", problem, f"Give one task, --task {tasks[0]}, and each a folder"))
        with torch.no_grad():
            weights = private.merged_into(tasks[0], weights, model.encoder)
    config = copy.deepcopy(model.config)
    config.peft = None
    with torch.random.fork_rng():
        plain = MultiTaskModel(config)
    heads = {f"heads.{key}": value for key, value in model.heads.state_dict().items()}
    plain.load_state_dict({**{f"encoder.{key}": value for key, value in weights.items()}, **heads})
    return plain


def _flat(logits: Tensor, per: str) -> Tensor:
    """Drop the axis of sequences of a row, of which a row of the graph is one."""
    return logits[:, 0] if per in ("sequence", "window") else logits


def check_onnx() -> None:
    """Refuse where a library is missing.

    Raises:
        ModelError: If one is.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ModelError(Mistake("--format onnx", f"{error.name} {_MISSING}")) from error


def input_names(model: MultiTaskModel, tokenizer: Any) -> list[str]:
    """Return the names of the graph's inputs: what the tokenizer gives and the encoder takes."""
    ids = torch.zeros(1, 1, dtype=torch.long)
    taken = encoder_inputs(model.encoder, ids, ids, ids)
    types = "token_type_ids" in taken and "token_type_ids" in tokenizer.model_input_names
    return ["input_ids", "attention_mask", *(["token_type_ids"] if types else [])]


def write_graph(model: MultiTaskModel, path: Path, tokenizer: Any, tasks: Sequence[str]) -> None:
    """Write a model as an ONNX graph with dynamic numbers of rows and tokens.

    Adapters are merged into a copy of the weights. The outputs are those of `MultiTaskModel` in eval mode, to
    rounding.

    Args:
        model: The model, which stays as it is, in training mode too.
        path: The file.
        tokenizer: The tokenizer.
        tasks: The tasks whose outputs it has.

    Raises:
        ModelError: If the model cannot be exported; says why.
    """
    inputs = input_names(model, tokenizer)
    if taken := [name for name in tasks if name in inputs]:
        raise ModelError(Mistake(f"tasks.{taken[0]}", "is the name of an input of the graph", "Rename the task"))
    # Sizes that no other size in a model is likely to be: one that is equal would be taken for the same.
    example = {name: torch.ones(5, 11, dtype=torch.long) for name in inputs}
    sizes = {name: {0: "batch", 1: "length"} for name in inputs}
    graph = OnnxGraph(merged(model, tasks), tasks)
    with in_passing(graph), quiet_export(), torch.no_grad():
        try:
            program = torch.onnx.export(
                graph,
                (),
                kwargs=example,
                dynamo=True,
                dynamic_shapes=sizes,
                output_names=list(tasks),
                opset_version=OPSET,
                verbose=False,
            )
        except Exception as error:  # whatever an architecture's own code cannot be exported with
            raise _refused(model, f"torch.onnx cannot export it: {_cause(error)}") from error
        assert program is not None
        _forget_source(program.model)
        program.model.metadata_props.update(onnx_facts(model, list(tasks), tokenizer))
        program.save(path)
        _try_out(graph, path, inputs)


def _try_out(graph: OnnxGraph, path: Path, inputs: Sequence[str]) -> None:
    """Refuse a file that gives other outputs than the model, for instance at other sizes than those of the export."""
    from onnxruntime import InferenceSession

    session, drawn = InferenceSession(str(path), providers=["CPUExecutionProvider"]), torch.Generator().manual_seed(0)
    words = min(int(graph.model.encoder.config.vocab_size), 1000)
    for lengths in ((7, 3, 5), (1,), (2, 9)):
        shape = (len(lengths), max(lengths))
        mask = (torch.arange(shape[1]) < torch.tensor(lengths).unsqueeze(1)).long()
        ids = torch.randint(words, shape, generator=drawn)
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
        given = {name: given[name] for name in inputs}
        with torch.no_grad():
            expected = graph(**given)
        try:
            found = session.run(list(graph.tasks), {name: value.numpy() for name, value in given.items()})
        except Exception as error:  # a runtime has one kind for all that can be wrong with a graph
            raise _refused(graph.model, f"the graph of torch.onnx does not run: {one_line(error)}") from error
        for name, one, other in zip(graph.tasks, expected, found, strict=True):
            far = (one - torch.from_numpy(other)).abs() > 1e-3 * one.abs().clamp(min=1.0)
            if one.shape != other.shape or bool(far.any()):
                raise _refused(graph.model, f"the graph of torch.onnx gives other outputs for {name} than the model")


def _refused(model: MultiTaskModel, problem: str) -> ModelError:
    kind = model.encoder.config.model_type
    return ModelError(Mistake("--format onnx", f"found '{kind}', and {problem}", "Try --format transformers"))


def _forget_source(graph: Any) -> None:
    """Drop from each node the lines of Python that made it, with paths of this machine and half the file's size."""
    graph.metadata_props.clear()
    for node in graph.graph.all_nodes():
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()


def _cause(error: BaseException) -> str:
    """Return what was wrong at first, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {one_line(error)}"


@contextmanager
def quiet_export() -> Iterator[None]:
    """Keep back what exporters say of themselves, which is no user's business."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
