"""Multi-task fine-tuning on the Hugging Face Trainer: one recipe, several tasks, one model.

    from hf_mtl import load_recipe, run_recipe
    results = run_recipe("recipes/quickstart.yaml")

or, in your own code, `MultiTaskModel.from_backbone` and `MultiTaskTrainer`, which are a `PreTrainedModel` and a
`transformers.Trainer` in every other respect. Names are imported when they are first used.

Words, one for each idea:
    task: labelled rows of one type, with a head and metrics of their own.
    row: one example of one task. Its mass says how much it counts there: 1, or its labelled tokens.
    sequence: tokens that the encoder reads together. A row is one, or has one for each of its choices or windows.
    site: where a head looks, a sequence or one of its tokens. A row has one output there for each of its sites.
    stream: tasks that read the same texts. Their rows are drawn and encoded once, with the labels of all of them.
    step: one update of the optimizer. Its plan says which rows of which task make it, n_t of each.
    micro-batch: the rows of a step that one process encodes at once, packed end to end where its encoder packs.
    mixture: the probability of each stream, shaped by a temperature. It changes where a window of steps begins.
    exposure: how much a task counts in a step before anything weighs it: by its rows, or once.
    head: the layers of one task. The shared parameters are all others: the encoder, or its adapters.
    penalty: what a head adds to its task's loss beside the data term.
    weighting: makes one scalar of the task losses. The weight of a task is its factor there.
    aggregator: makes one direction of the task gradients.
    task gradient: of one task's loss by the shared parameters, a row of the Jacobian J. The Gramian is G = J J^T.
    schedule: gives a task's coefficient, and the groups of parameters that are trained, at each step.
    metric: one number for predictions and labels. The scores of a task are its metrics' values.
    run: one training, in a folder of its own. A recipe is all that it is told.
    study: asks something of arms (settings to compare) with several seeds each.
"""

import importlib
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_mtl.after_import import after_import

if TYPE_CHECKING:
    from hf_mtl.arguments import MultiTaskTrainingArguments
    from hf_mtl.inference.join import join_runs
    from hf_mtl.inference.pipeline import pipeline
    from hf_mtl.modeling import MultiTaskConfig, MultiTaskModel
    from hf_mtl.recipe import load_recipe
    from hf_mtl.task_types.multi_label_classification import MultiLabelClassification as MultiLabelClassification
    from hf_mtl.task_types.multiple_choice import MultipleChoice as MultipleChoice
    from hf_mtl.task_types.ordinal_classification import OrdinalClassification as OrdinalClassification
    from hf_mtl.task_types.regression import Regression as Regression
    from hf_mtl.task_types.sequence_classification import SequenceClassification as SequenceClassification
    from hf_mtl.task_types.span_extraction import SpanExtraction as SpanExtraction
    from hf_mtl.task_types.token_classification import TokenClassification as TokenClassification
    from hf_mtl.training import MultiTaskTrainer, run_recipe

__version__ = "0.1.0"

# A task type's file is called as its class, in other letters.
_TASK_TYPES = {
    item.name.title().replace("_", ""): f"hf_mtl.task_types.{item.name}"
    for item in pkgutil.iter_modules([str(Path(__file__).parent / "task_types")])
}
_HOME = {
    "MultiTaskTrainer": "hf_mtl.training",
    "MultiTaskTrainingArguments": "hf_mtl.arguments",
    "MultiTaskModel": "hf_mtl.modeling",
    "MultiTaskConfig": "hf_mtl.modeling",
    "join_runs": "hf_mtl.inference.join",
    "pipeline": "hf_mtl.inference.pipeline",
    "load_recipe": "hf_mtl.recipe",
    "run_recipe": "hf_mtl.training",
    **_TASK_TYPES,
}

__all__ = [
    "MultiTaskConfig",
    "MultiTaskModel",
    "MultiTaskTrainer",
    "MultiTaskTrainingArguments",
    "join_runs",
    "load_recipe",
    "pipeline",
    "run_recipe",
    *_TASK_TYPES,
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'hf_mtl' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])


# `transformers.pipeline` knows "multi-task-classification" then; to import it takes seconds, and most do without.
after_import("transformers.pipelines", lambda: importlib.import_module("hf_mtl.inference.pipeline"))
