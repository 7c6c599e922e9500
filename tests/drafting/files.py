"""Files of every type of task, as users have them."""

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

WORDS = [f"w{number}" for number in range(60)]


def text(draw: random.Random, least: int = 4) -> str:
    return " ".join(draw.choice(WORDS) for _ in range(draw.randint(least, 12)))


def write_csv(path: Path, rows: list[dict[str, Any]], sep: str = ",", encoding: str = "utf-8") -> None:
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=sep)
        writer.writeheader()
        writer.writerows(rows)


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, rows)))


def _word_span(found: str) -> tuple[int, int]:
    start = found.index(" ") + 1
    return start, found.index(" ", start)


def _spans(draw: random.Random) -> dict[str, Any]:
    found = text(draw)
    start, end = _word_span(found)
    return {"text": found, "entities": [{"start": start, "end": end, "label": draw.choice(["X", "Y"])}]}


def _squad(draw: random.Random) -> dict[str, Any]:
    found = text(draw)
    start, end = _word_span(found)
    answers = {"text": [found[start:end]], "answer_start": [start]}
    # Few questions of many texts look like classes.
    question = draw.choice(["who was it", "where was it"])
    return {"id": text(draw), "title": "same", "question": question, "context": found, "answers": answers}


def _tags(draw: random.Random) -> dict[str, Any]:
    words = text(draw).split()
    tags = [draw.choice(["O", "B-PER", "B-LOC"]) for _ in words]
    return {"tokens": words, "ner_tags": tags, "pos_tags": [draw.choice("NV") for _ in words]}


CSV: dict[str, Callable[[random.Random], dict[str, Any]]] = {
    "multi.csv": lambda d: {"comment": text(d), **{name: d.randint(0, 1) for name in ("toxic", "rude", "threat")}},
    "scores.csv": lambda d: {"text": text(d), "V": round(d.uniform(1, 5), 3), "A": round(d.uniform(1, 5), 3)},
    "tickets.csv": lambda d: {
        "subject": text(d),
        "priority": d.choice(["low", "Medium", "high"]),
        "queue": d.choice("abc"),
    },
    "copa.csv": lambda d: {"premise": text(d), "choice1": text(d), "choice2": text(d), "label": d.randint(0, 1)},
    "exam.csv": lambda d: {"question": text(d), "A": text(d), "B": text(d), "C": text(d), "answer": d.choice("ABC")},
    "odd.csv": lambda d: {"text": text(d) if d.random() > 0.1 else "", "label": d.choice([0, 4])},
}
LINES: dict[str, Callable[[random.Random], dict[str, Any]]] = {
    "ner.jsonl": _tags,
    "spans.jsonl": _spans,
    "squad.jsonl": _squad,
    "topics.jsonl": lambda d: {"text": text(d), "topics": d.sample(["sport", "money", "art"], d.randint(0, 2))},
    "swag.jsonl": lambda d: {"ctx": text(d), "endings": [text(d) for _ in range(4)], "label": d.randint(0, 3)},
}


def write_all(folder: Path, rows: int = 80) -> None:
    """Write every file, and splits of one dataset beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(0)
    for name, make in CSV.items():
        write_csv(folder / name, [make(draw) for _ in range(rows)])
    for name, make in LINES.items():
        write_lines(folder / name, [make(draw) for _ in range(rows)])
    pairs = [{"premise": text(draw), "hypothesis": text(draw), "gold_label": draw.choice("abc")} for _ in range(rows)]
    write_csv(folder / "pairs.tsv", pairs, "\t")
    stars = [{"review": text(draw), "stars": draw.randint(1, 5), "user_id": draw.randint(1, 9)} for _ in range(rows)]
    write_csv(folder / "stars.csv", stars, ";")
    for split, count in (("train", rows), ("dev", 20)):
        moods = [{"id": number, "text": text(draw), "label": draw.choice(["good", "bad"])} for number in range(count)]
        for number, row in enumerate(moods):
            row |= {"date": f"2024-01-{number % 28 + 1:02}", "lang": "en", "author": f"{draw.choice(WORDS)} {number}"}
        write_csv(folder / f"mood-{split}.csv", moods)
