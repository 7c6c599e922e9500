"""A trained model as a folder with an ONNX graph and its tokenizer."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from hf_mtl.errors import Mistake, ModelError
from hf_mtl.inference.encoder_limits import row_limit
from hf_mtl.inference.new_folder import check_free, made_whole
from hf_mtl.inference.onnx_graph import check_onnx, write_graph
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.config_values import shown
from hf_mtl.modeling.tokenizer_files import find_tokenizer, save_without_state

MODEL = "model.onnx"
Quantized = Literal["int8"]


@dataclass(frozen=True)
class WrittenGraph:
    """What was written.

    Args:
        tasks: The tasks whose outputs the graph has.
        size: Bytes of the graph.
        float_size: Bytes of the graph in float32, before its weights were quantised.
    """

    tasks: list[str]
    size: int
    float_size: int


def export_onnx(
    model: MultiTaskModel,
    directory: str | Path,
    tasks: Sequence[str] = (),
    quantize: Quantized | Literal[False] | None = None,
    inspect: Callable[[Path, Any], None] = lambda path, tokenizer: None,
) -> WrittenGraph:
    """Write all tasks as one ONNX graph, ``model.onnx``, and the tokenizer's files beside it.

    Args:
        model: The model, which stays as it is.
        directory: The folder to make.
        tasks: The tasks; empty: all.
        quantize: ``int8``: weights of products are whole numbers with a scale for each output, and activations are
            quantised as they come (dynamic quantisation of onnxruntime). None or False: float32.
        inspect: Called with the graph and the tokenizer before the folder has its name.

    Raises:
        UserError: If the model cannot be exported, or a library is missing; the folder is not made.
        DiskError: If the folder cannot be written.
    """
    place = Path(directory)
    check_free(place, "DIR")
    if quantize not in (None, False, *get_args(Quantized)):
        problem = f"found {shown(quantize)}, and weights are quantised to int8 alone"
        raise ModelError(Mistake("quantize", problem, "Allowed: 'int8'; None or False: not at all"))
    model.heads.check_names(tasks)
    check_onnx()
    tokenizer = find_tokenizer(model._tokenizer)
    if (limit := row_limit(model, tokenizer)) is not None:
        tokenizer.model_max_length = limit
    names = [name for name in model.tasks if not tasks or name in tasks]
    with made_whole(place) as folder:
        path = folder / MODEL
        write_graph(model, path, tokenizer, names)
        float_size = _bytes(folder)
        if quantize:
            _quantize(path)
        size = _bytes(folder)
        save_without_state(tokenizer, folder)
        inspect(path, tokenizer)
    return WrittenGraph(names, size, float_size)


def _bytes(folder: Path) -> int:
    """Add up the graph's files: weights of more than 2 GB lie beside it."""
    return sum(path.stat().st_size for path in folder.iterdir())


def _quantize(path: Path) -> None:
    """Quantise a graph in its place."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    given = [path, *path.parent.glob(f"{path.name}.*")]
    small = path.with_name(f"small-{path.name}")
    graph = onnx.load(str(path))
    # onnxruntime infers shapes anew, and before 1.32 stumbles over those that the exporter left of turned matrices.
    del graph.graph.value_info[:]
    with _quiet():
        # A scale for each output, and not for a whole weight: half the error at the same speed and size.
        quantize_dynamic(graph, str(small), weight_type=QuantType.QInt8, per_channel=True)
    for file in given:
        file.unlink()
    small.replace(path)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back the advice of the quantiser, which logs it as everybody's."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
