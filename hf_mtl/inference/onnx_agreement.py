"""How far a graph's predictions are from those of its model, on texts without labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hf_mtl.errors import Mistake, UserError
from hf_mtl.inference.onnx_graph import OnnxGraph
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.tasks import Task

_BATCH = 32


def read_texts(path: str) -> list[str]:
    """Read a file with a text in each line; empty lines are none.

    Raises:
        UserError: If there is no such file, it is no text, or it is empty.
    """
    try:
        texts = [line for line in Path(path).read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(Mistake("--texts", f"cannot read {path}: {error}", "Give a file of UTF-8")) from error
    if not texts:
        raise UserError(Mistake("--texts", f"{path} is empty", "Give a file with a text in each line"))
    return texts


def agreement(
    model: MultiTaskModel, graph: Path, texts: Sequence[str], tokenizer: Any, tasks: Sequence[str]
) -> dict[str, str]:
    """Compare predictions of a model and of a graph that was made of it.

    Args:
        model: The model.
        graph: The graph.
        texts: Texts.
        tokenizer: The tokenizer.
        tasks: The tasks whose outputs the graph has.

    Returns:
        By task, in words, the share of equal predictions, or of numbers how far they are apart.
    """
    from onnxruntime import InferenceSession

    session, plain = InferenceSession(str(graph), providers=["CPUExecutionProvider"]), OnnxGraph(model, tasks)
    names = [item.name for item in session.get_inputs()]
    found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in tasks}
    for start in range(0, len(texts), _BATCH):
        some = list(texts[start : start + _BATCH])
        encoded = tokenizer(some, padding=True, truncation=True, return_tensors="pt")
        inputs = {name: encoded[name] for name in names}
        with torch.no_grad():
            expected = plain(**inputs)
        outputs = session.run(list(tasks), {name: value.numpy() for name, value in inputs.items()})
        for name, one, other in zip(tasks, expected, outputs, strict=True):
            found[name].append(_compared(model.tasks[name], one.numpy(), other))
    return {name: _in_words(model.tasks[name], np.concatenate(parts)) for name, parts in found.items()}


def _compared(task: Task, one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the distances of numbers, or 1 where predictions are equal and else 0; one value for each."""
    if _of_numbers(task):
        return np.asarray(np.abs(one - other), dtype=np.float64).ravel()
    if task.outputs_per == "window":
        one, other = one[:, None], other[:, None]
    first, second = task.predictions(one), task.predictions(other)
    same = np.all(first == second, axis=1) if task.outputs_per == "window" else (first == second)[first != -100]
    return np.asarray(same, dtype=np.float64).ravel()


def _of_numbers(task: Task) -> bool:
    """Tell whether there is nothing to decide: of targets, and of single choices."""
    return task.real_valued or task.outputs_per == "sequence"


def _in_words(task: Task, values: NDArray[np.float64]) -> str:
    if _of_numbers(task):
        return f"{values.mean():.4g} apart on average, {values.max():.4g} at most, of {len(values):,} outputs"
    return f"{values.mean():.2%} of {len(values):,} predictions are the same"
