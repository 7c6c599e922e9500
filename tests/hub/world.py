"""The tiny world on a Hub: a backbone, three datasets, and recipes that name them."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from datasets import ClassLabel, Dataset
from transformers import AutoModel, BertConfig, set_seed

from tests import tiny
from tests.hub.repositories import Hub

ROOT = Path(__file__).parents[2]
TOKEN = "hf_ThisTokenIsSecret0123456789"
BACKBONE = "org/tiny-bert"


def fill(hub: Hub, folder: Path) -> None:
    """Put a backbone, datasets of one and two configurations, and a gated repository of each kind on the Hub."""
    save_backbone(folder / "bert")
    hub.add(f"models/{BACKBONE}", folder / "bert")
    hub.add("models/org/gated", folder / "bert", gated=True)
    _add_topics(hub, folder / "topics")
    _write(folder / "moods", "english/train.jsonl", "mood", 40)
    configs = {"english": {"train": "english/train.jsonl"}, "french": {"train": "french/train.jsonl"}}
    _add_configs(hub, folder / "moods", "moods", configs)
    save_scores(folder / "scores")
    hub.add("datasets/org/scores", folder / "scores")
    _add_spelled(hub, folder / "spelled")
    hub.add("datasets/org/gated", folder / "scores", gated=True)


def save_backbone(folder: Path, **changes: Any) -> None:
    """A BERT with random weights, and its tokenizer."""
    set_seed(0)
    AutoModel.from_config(BertConfig(**{**tiny.BERT, **changes})).save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)


def save_scores(folder: Path) -> None:
    """A regression with two splits."""
    _write(folder, "train.csv", "score", 40)
    _write(folder, "validation.csv", "score", 12)


def _add_spelled(hub: Hub, folder: Path) -> None:
    """Csv files whose values look like nothing or like numbers, with tabs between them, as their README says."""
    folder.mkdir()
    (folder / "train.csv").write_text("text\tlabel\n" + "007\tNone\nNA\tnull\n" * 4)
    (folder / "dev.csv").write_text("text\tlabel\nnan\tNone\n")
    files = [{"split": split, "path": f"{split}.csv"} for split in ("train", "dev")]
    options = {"configs": [{"config_name": "default", "data_files": files, "sep": "\t"}]}
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump(options)}---\nA dataset.\n")
    hub.add("datasets/org/spelled", folder)


def _add_topics(hub: Hub, folder: Path) -> None:
    """Two configurations with class names. Only the revision v1 is of use: main has lost its labels."""
    for seed, config in enumerate(("early", "late")):
        for split, count in (("train", 30), ("dev", 12)):
            _write(folder, f"{config}/{split}.parquet", "topic", count, seed)
    configs = {
        config: {split: f"{config}/{split}.parquet" for split in ("train", "dev")} for config in ("early", "late")
    }
    first = _add_configs(hub, folder, "topics", configs)
    hub.repos["datasets/org/topics"].tags["v1"] = first
    for file in folder.rglob("*.parquet"):
        Dataset.from_dict({"text": ["w1"]}).to_parquet(str(file))
    hub.add("datasets/org/topics", folder)


def _add_configs(hub: Hub, folder: Path, name: str, configs: dict[str, dict[str, str]]) -> str:
    listed = [
        {"config_name": config, "data_files": [{"split": split, "path": path} for split, path in files.items()]}
        for config, files in configs.items()
    ]
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump({'configs': listed})}---\nA dataset.\n")
    return hub.add(f"datasets/org/{name}", folder)


def _write(folder: Path, name: str, task: str, count: int, seed: int = 0) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = tiny.rows(task, count, seed)
    if path.suffix == ".parquet":
        rows.cast_column("label", ClassLabel(names=["art", "bio", "car"])).to_parquet(str(path))
    elif path.suffix == ".jsonl":
        rows.to_json(str(path))
    else:
        rows.to_csv(str(path))


def recipe(hub: Hub, backbone: str = BACKBONE, **training: Any) -> dict[str, Any]:
    """Three tasks from three datasets of the Hub."""
    sha = hub.repos["datasets/org/topics"].tags["v1"]
    topics = [
        {"path": "org/topics", "name": "early", "revision": sha},
        {"path": "org/topics", "name": "late", "revision": "v1"},
    ]
    return {
        "model": {"backbone": backbone, "max_length": 24},
        "tasks": {
            "topic": {"type": "sequence_classification", "dataset": topics},
            "mood": {"type": "sequence_classification", "dataset": {"path": "org/moods", "name": "english"}},
            "score": {"type": "regression", "dataset": {"path": "org/scores"}, "label": ["x", "y"]},
        },
        "training": {
            "max_steps": 3,
            "per_device_train_batch_size": 8,
            "logging_steps": 1,
            "use_cpu": True,
            "disable_tqdm": True,
            **training,
        },
    }


def small_recipe(path: str, backbone: str = BACKBONE, **training: Any) -> dict[str, Any]:
    """One task from one dataset."""
    task = {"type": "regression", "dataset": {"path": path}, "label": "x"}
    options = {"max_steps": 2, "per_device_train_batch_size": 8, "use_cpu": True, "disable_tqdm": True, **training}
    return {"model": {"backbone": backbone}, "tasks": {"score": task}, "training": options}


def write(folder: Path, content: dict[str, Any]) -> Path:
    """Write a recipe."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


@dataclass
class Machine:
    """A user's machine: its caches, and a Hub that it can reach."""

    hub: Hub
    home: Path
    cwd: Path
    offline: bool = False

    def environment(self) -> dict[str, str]:
        """Nothing of the tester's own settings; the libraries read these when they are imported."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "TRANSFORMERS_"))}
        return {
            **kept,
            "HF_ENDPOINT": self.hub.url,
            "HF_TOKEN": TOKEN,
            "HF_HOME": str(self.home),
            "HF_HUB_OFFLINE": str(int(self.offline)),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
        }

    def python(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run Python to its end."""
        self.cwd.mkdir(parents=True, exist_ok=True)
        return subprocess.run(
            [sys.executable, *command], cwd=self.cwd, env=self.environment(), capture_output=True, text=True
        )

    def train(self, path: Path, output: Path | str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `hf-mtl train`."""
        return self.python("-m", "hf_mtl", "train", str(path), f"training.output_dir={output}", *arguments)

    def fail(self, *recipes: Path) -> list[str]:
        """What `hf-mtl train` says of recipes that cannot be run, all in one process; each must exit with 2."""
        code = "import json, sys\nfrom tests.hub.world import say_all\nsay_all(json.loads(sys.argv[1]))"
        done = self.python("-c", code, json.dumps([str(path) for path in recipes]))
        assert done.returncode == 0, done.stderr
        answers = json.loads(done.stdout.splitlines()[-1])
        assert [code for code, _ in answers] == [2] * len(recipes), answers
        return [text for _, text in answers]


def say_all(recipes: list[str]) -> None:
    """Run the command on each recipe and print exit codes and messages."""
    import contextlib
    import io

    from hf_mtl.cli.main import main

    answers = []
    for path in recipes:
        with contextlib.redirect_stderr(io.StringIO()) as said:
            answers.append([main(["train", path]), said.getvalue()])
    print(json.dumps(answers))
