"""What a reader of an ONNX graph must know to make predictions of its outputs, as JSON in the graph's metadata."""

import json
from typing import Any

from hf_mtl.inference.encoder_limits import padding_id
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.tasks.fields import without_paths

_NO_LIMIT = 10**9  # transformers says so by a number of thirty digits

FORMAT = 1
"""Of the metadata; a reader refuses one that it does not know."""


def onnx_facts(model: MultiTaskModel, tasks: list[str], tokenizer: Any) -> dict[str, str]:
    """Return the metadata of a graph: JSON by key.

    ``hf_mtl.format`` is `FORMAT`. ``hf_mtl.texts`` has ``pad_token_id``, and the ``max_length`` and the
    ``truncation_side`` of tasks that have none of their own. ``hf_mtl.tasks`` has for each output of the graph, by
    its name:

    - ``type``, ``output_names`` [C] and ``labels`` (class names in id order, or null)
    - ``outputs_per``: ``row``: the output is [batch, C]; ``token`` and ``window``: [batch, length, C], in the columns
      of the tokens, with ``absent_output`` where padding is; ``sequence``: [batch, C], of each choice of a row
    - ``text``: the columns that were read, one, or two for a pair; ``max_length`` in tokens, and ``truncation_side``
    - ``calibration_temperature`` (outputs are divided by it already) and ``statistics`` (outputs of a regression are
      in original units already)
    - ``thresholds``, ``null_threshold`` where the task has them: nothing has applied these yet
    - ``task``: all keys of the task, as a recipe has them, such as ``predict`` of ordinal classes

    Args:
        model: The model.
        tasks: The tasks whose outputs the graph has.
        tokenizer: The tokenizer that is written beside it.
    """
    longest = tokenizer.model_max_length
    texts = {
        "pad_token_id": padding_id(model, tokenizer),
        "max_length": int(longest) if longest < _NO_LIMIT else None,
        "truncation_side": tokenizer.truncation_side,
    }
    return {
        "hf_mtl.format": json.dumps(FORMAT),
        "hf_mtl.texts": json.dumps(texts),
        "hf_mtl.tasks": json.dumps({name: _facts(model, name) for name in tasks}),
    }


def _facts(model: MultiTaskModel, name: str) -> dict[str, Any]:
    module = model.heads.of(name)
    task = module.task
    return {
        "type": task.type,
        "output_names": task.output_names,
        "labels": task.label_names,
        "outputs_per": task.outputs_per,
        "absent_output": task.absent_output,
        "text": task.text_columns,
        "max_length": task.max_length,
        "truncation_side": task.truncation_side,
        "calibration_temperature": module.temperature,
        "statistics": module.statistics.for_metrics(),
        **task.exported(),
        "task": without_paths(task.for_config()),
    }
