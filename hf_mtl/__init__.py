"""Multi-task fine-tuning on the Hugging Face Trainer: one recipe, several tasks, one model.

    from hf_mtl import load_recipe, run_recipe
    results = run_recipe("recipes/quickstart.yaml")

or, in your own code, `MultiTaskModel.from_backbone` and `MultiTaskTrainer`, which are a `PreTrainedModel` and a
`transformers.Trainer` in every other respect. Names are imported when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hf_mtl.arguments import MultiTaskTrainingArguments
    from hf_mtl.modeling import MultiTaskConfig, MultiTaskModel
    from hf_mtl.recipe import load_recipe
    from hf_mtl.tasks import Regression, SequenceClassification
    from hf_mtl.training import MultiTaskTrainer, run_recipe

__version__ = "0.1.0"

_HOME = {
    "MultiTaskTrainer": "hf_mtl.training",
    "MultiTaskTrainingArguments": "hf_mtl.arguments",
    "MultiTaskModel": "hf_mtl.modeling",
    "MultiTaskConfig": "hf_mtl.modeling",
    "load_recipe": "hf_mtl.recipe",
    "run_recipe": "hf_mtl.training",
    "SequenceClassification": "hf_mtl.tasks",
    "Regression": "hf_mtl.tasks",
}

__all__ = [
    "MultiTaskConfig",
    "MultiTaskModel",
    "MultiTaskTrainer",
    "MultiTaskTrainingArguments",
    "Regression",
    "SequenceClassification",
    "load_recipe",
    "run_recipe",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'hf_mtl' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
