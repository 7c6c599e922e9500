"""Tasks that share texts: each text on one side, and what cannot be so is counted."""

from pathlib import Path
from typing import Any

import pandas
import pytest

from hf_mtl import Regression, SequenceClassification
from hf_mtl.data.load import load_tasks
from hf_mtl.data.loaded import LoadedTask
from hf_mtl.errors import DataError
from hf_mtl.tasks import DatasetSource, RowFilter

TEXTS = [f"text number {index} of many" for index in range(200)]


def csv(folder: Path, name: str, texts: list[str], **columns: list[Any]) -> str:
    labels = [index % 2 for index in range(len(texts))]
    content = {"text": texts, "head": [text[:9] for text in texts], "a": labels, "b": labels[::-1], **columns}
    pandas.DataFrame(content).to_csv(folder / name, index=False)
    return str(folder / name)


def source(train: str, **others: str) -> DatasetSource:
    return DatasetSource(path="csv", data_files={"train": train, **others})


def held_out_and_trained(loaded: dict[str, LoadedTask]) -> set[str]:
    """Texts that one task evaluates and any trains on."""
    texts = {"train": set[str](), "validation": set[str](), "test": set[str]()}
    for item in loaded.values():
        for split, part in item.splits.items():
            texts[split].update(text.lower() for text in part["text"])
    assert texts["validation"]
    return texts["train"] & (texts["validation"] | texts["test"])


def test_tasks_that_read_the_same_rows_hold_out_the_same_texts(tmp_path: Path) -> None:
    path = csv(tmp_path, "posts.csv", TEXTS, score=[index / 7 for index in range(200)])
    other = csv(tmp_path, "other.csv", [text.upper() for text in TEXTS[50:]])
    options: Any = {"validation_fraction": 0.3, "test_fraction": 0.2}
    tasks = {
        "a": SequenceClassification(dataset=source(path), label="a", **options),
        "b": SequenceClassification(dataset=source(path), label="b", max_rows=50, **options),
        "score": Regression(dataset=source(path), label="score", **options),
        "other": SequenceClassification(dataset=source(other), label="a", **options),
    }
    loaded = load_tasks(tasks)
    assert not held_out_and_trained(loaded)
    assert not any(item.overlaps for item in loaded.values())


def test_evaluation_texts_that_are_training_texts_are_counted(tmp_path: Path) -> None:
    path = csv(tmp_path, "posts.csv", TEXTS)
    own = csv(tmp_path, "own.csv", [*TEXTS[:40], "of its own"])
    tasks = {
        "carves": SequenceClassification(dataset=source(path), label="a", validation_fraction=0.25),
        "brings": SequenceClassification(dataset=source(path, validation=own), label="b"),
    }
    loaded = load_tasks(tasks)
    trained = set(loaded["carves"].splits["train"]["text"])
    count = len(trained & set(TEXTS[:40]))
    assert loaded["brings"].overlaps == [
        f"brings: {count} of 41 validation texts of brings are training texts of carves; "
        "40 of 41 validation texts of brings are training texts of brings."
    ]
    rows = len(loaded["carves"].splits["validation"])
    assert loaded["carves"].overlaps == [
        f"carves: {rows} of {rows} validation texts of carves are training texts of brings."
    ]


def test_a_text_of_a_pair_counts_for_a_task_that_reads_it_alone(tmp_path: Path) -> None:
    path = csv(tmp_path, "posts.csv", TEXTS, long=[f"{text}, said at length" for text in TEXTS])
    tasks = {
        "pair": SequenceClassification(dataset=source(path), text=["text", "long"], label="a"),
        "short": SequenceClassification(dataset=source(path), label="b"),
        "long": SequenceClassification(dataset=source(path), text="long", label="b"),
    }
    (said,) = load_tasks(tasks)["pair"].overlaps
    assert "validation texts of pair are training texts of short" in said
    assert "texts of long" not in said


def test_two_pairs_that_share_one_text_are_two_pairs(tmp_path: Path) -> None:
    path = csv(tmp_path, "pairs.csv", TEXTS, question=["is it so?"] * 200)
    pair = SequenceClassification(dataset=source(path), text=["question", "text"], label="a")
    assert not load_tasks({"pair": pair})["pair"].overlaps


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"validation_fraction": 0.4},
            "tasks.a.validation_fraction: is 0.4, and 0.1 for b, which reads the same data",
        ),
        ({"test_fraction": 0.2}, "tasks.a.test_fraction: is 0.2, and not set for b, which reads the same data"),
    ],
)
def test_other_shares_of_the_same_rows_are_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    path = csv(tmp_path, "posts.csv", TEXTS)
    tasks = {
        "a": SequenceClassification(dataset=source(path), label="a", **options),
        "b": SequenceClassification(dataset=source(path), label="b"),
    }
    with pytest.raises(DataError) as caught:
        load_tasks(tasks)
    (mistake,) = caught.value.mistakes
    assert str(mistake).startswith(said)
    assert mistake.remedy.startswith("Give both the same ")


def test_other_shares_of_rows_that_no_two_tasks_share_are_fine(tmp_path: Path) -> None:
    path = csv(tmp_path, "posts.csv", TEXTS, half=[index // 100 for index in range(200)])
    tasks = {
        f"half{half}": SequenceClassification(
            dataset=DatasetSource(path="csv", data_files=path, filter=RowFilter(column="half", equals=half)),
            label="a",
            validation_fraction=0.2 + half / 10,
        )
        for half in (0, 1)
    }
    assert set(load_tasks(tasks)) == {"half0", "half1"}
