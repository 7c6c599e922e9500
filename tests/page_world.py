"""What recipes, commands and snippets of the pages read, made small: files with their columns, and three runs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from datasets import Dataset

import hf_mtl
from hf_mtl import run_recipe
from tests import tiny

# Long enough for the longest window that a page asks for.
POSITIONS = {"max_position_embeddings": 400}
ROWS = 150


def write_world(folder: Path, recipe: Path, given: str) -> None:
    """Write all of it.

    Args:
        folder: Where the pages' commands are run.
        recipe: Where the README's recipe goes.
        given: What it is.
    """
    model = tiny.model(tasks={"emotion": hf_mtl.SequenceClassification(labels=2)}, config=POSITIONS)
    model.encoder.save_pretrained(folder / "encoder")
    tiny.tokenizer().save_pretrained(folder / "encoder")
    _write_readme(folder, recipe, given)
    _write_files(folder)
    for name in ("stance", "emotion"):
        (folder / name).mkdir()
        for split in ("train", "validation"):
            tiny.rows("mood", 30, seed=len(split)).to_csv(folder / name / f"{split}.csv")
    _write_run(folder, "first", ["emotion", "irony"])
    _write_run(folder, "second", ["topic"])
    _write_run(folder, "only-emotion", ["emotion"])


def _write_readme(folder: Path, path: Path, given: str) -> None:
    """The README's recipe on what is here."""
    recipe: dict[str, Any] = yaml.safe_load(given)
    recipe["model"] |= {"backbone": "encoder", "max_length": 32}
    files = {}
    for split, size in (("train", ROWS), ("validation", 30), ("test", 30)):
        tiny.rows("mood", size, seed=size).to_csv(folder / f"{split}.csv")
        files[split] = f"{split}.csv"
    recipe["tasks"]["emotion"]["dataset"] = {"path": "csv", "data_files": files}
    recipe["training"] |= {"report_to": "none", "use_cpu": True}
    scores = tiny.rows("score", ROWS).rename_columns({"x": "valence", "y": "arousal"})
    scores.to_csv(folder / "intensity.csv")
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))


def _write_run(folder: Path, name: str, tasks: list[str]) -> None:
    """A run on the encoder as it is, whose heads can be kept and joined."""
    source = {"path": "csv", "data_files": {"train": "train.csv", "validation": "validation.csv"}}
    recipe = {
        "model": {"backbone": "encoder", "max_length": 32, "freeze": "encoder", "head": "linear"},
        "tasks": {task: {"type": "sequence_classification", "dataset": source, "stream": False} for task in tasks},
        "training": {"output_dir": f"runs/{name}", "max_steps": 2, "report_to": "none", "use_cpu": True},
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    run_recipe(path)


def _write_files(folder: Path) -> None:
    texts = [f"{text} w{number}" for number, text in enumerate(tiny.rows("mood", ROWS)["text"])]
    number = np.arange(ROWS)
    classes, value = (number % 2).tolist(), (1 + number % 9 / 2.25).tolist()
    plain = {"text": texts, "label": classes}
    tweets = {"user": ["w1"] * ROWS, "title": ["w2 w3"] * ROWS, "body": texts, "polarity": (number % 3 * 2).tolist()}
    csv: dict[str, dict[str, list[Any]]] = {
        "tweets": tweets,
        "reviews": {**plain, "stars": (1 + number % 5).tolist()},
        "ratings": {"text": texts, "valence": value, "arousal": value[::-1]},
        "emobank": {"text": texts, "V": value, "A": value[::-1]},
        **dict.fromkeys(("emotion", "sst", "imdb", "topics"), plain),
    }
    for name, columns in csv.items():
        Dataset.from_dict(columns).to_csv(folder / f"{name}.csv")
    for name, rows in _json_rows(texts, classes).items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tagged = [f"{word} {'B-PER' if word > 'w3' else 'O'}" for text in texts[:3] for word in [*text.split(), ""]]
    (folder / "train.conll").write_text("\n".join(line.strip() if " " in line.strip() else "" for line in tagged))


def _json_rows(texts: list[str], classes: list[int]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in ("news", "votes", "letters", "exams", "questions")}
    for text, label in zip(texts, classes, strict=True):
        words = text.split()
        first = {"start": 0, "end": len(words[0]), "label": "PLACE"}
        tags = ["B-PER", *["I-PER"] * label, *["O"] * len(words)][: len(words)]
        topics = [["sport"], ["sport", "money"]][label]
        news = {"text": text, "label": label, "agreement": 0.5 + label, "topics": topics}
        found["news"].append({**news, "tokens": words, "ner_tags": tags})
        found["votes"].append({"text": text, "votes": {"for": 1 + label, "against": 2}})
        found["letters"].append({"text": text, "spans": [first] * label})
        asked = {"article": text, "question": "w1 w2", "options": [words[0], "w59 w58"], "answer": label}
        found["exams"].append(asked)
        answers = {"text": [words[0]] * label, "answer_start": [0] * label}
        found["questions"].append({"question": "w1 w2", "context": text, "answers": answers})
    return found
