"""Short runs with a task of every type, to be looked into."""

from pathlib import Path
from typing import Any

import yaml

from tests import tiny
from tests.task_types.sample import samples

TYPES = {name: sample for name, sample in samples().items() if "," not in name}
BACKBONE = {key: value for key, value in tiny.BERT.items() if key != "vocab_size"}
GPT2 = {"model_type": "gpt2", "n_embd": 16, "n_layer": 3, "n_head": 2, "n_positions": 64}
OWN_ADAPTERS = {"per_task": {"type": "lora", "r": 2, "target_modules": ["query"]}}


def write_data(folder: Path) -> dict[str, Any]:
    """The rows of every type as files; the tasks of a recipe that reads them."""
    tasks: dict[str, Any] = {}
    for name, sample in TYPES.items():
        files = {split: f"{name}.{split}.jsonl" for split in ("train", "validation")}
        rows = sample.rows(40)
        rows.select(range(24)).to_json(str(folder / files["train"]))
        rows.select(range(24, 40)).to_json(str(folder / files["validation"]))
        task = sample.task
        written = {key: value for key, value in task.for_config().items() if key in task.model_fields_set}
        tasks[name] = {**written, "type": task.type, "dataset": {"path": "json", "data_files": files}}
    return tasks


def write_recipe(folder: Path, name: str, tasks: dict[str, Any], backbone: Any = BACKBONE, **model: Any) -> Path:
    """A recipe of eight steps whose run is in a folder of its name."""
    recipe = {
        "model": {
            "backbone": backbone,
            "tokenizer": {"train": "wordpiece", "vocab_size": 120},
            "max_length": 32,
            **model,
        },
        "tasks": tasks,
        "training": {
            "output_dir": name,
            "max_steps": 8,
            "logging_steps": 1,
            "eval_strategy": "steps",
            "eval_steps": 4,
            "save_steps": 4,
            "per_device_train_batch_size": 8,
            "learning_rate": 3e-3,
            "use_cpu": True,
            "report_to": "none",
            "disable_tqdm": True,
        },
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    return path
