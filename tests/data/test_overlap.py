"""Tasks that share texts: each text on one side, and what cannot be so is counted."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from datasets import Dataset

from hf_mtl import Regression, SequenceClassification
from hf_mtl.data.load import load_tasks
from hf_mtl.data.loaded import LoadedTask
from hf_mtl.data.overlap import ComparedRows, find_overlaps, overlap_notes
from hf_mtl.data.overlap_counts import Overlap
from hf_mtl.data.text_keys import TextKeys, text_keys
from hf_mtl.data.tokens import TokenStore
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
    shared = [text for text in TEXTS[:40] if text in trained]
    rows = len(loaded["carves"].splits["validation"])
    assert [item.to_dict() for name in tasks for item in loaded[name].overlaps] == [
        counts("carves", rows, rows, "brings", rows),
        counts("brings", 41, len(shared), "carves", len(shared)),
        counts("brings", 41, 40, "brings", 40),
    ]
    assert list(overlap_notes(loaded["brings"].overlaps)) == [
        f"brings: {len(shared)} of 41 validation rows stand in the training rows of carves, such as '{shared[0]}', "
        f"'{shared[1]}' and '{shared[2]}'; 40 stand in the training rows of brings, such as 'text number 0 of many', "
        "'text number 1 of many' and 'text number 2 of many'."
    ]


def counts(task: str, rows: int, found: int, trained: str, trained_rows: int) -> dict[str, Any]:
    return {
        "task": task,
        "split": "validation",
        "rows": rows,
        "found": found,
        "trained": trained,
        "trained_rows": trained_rows,
        "dropped": False,
    }


def test_tasks_that_train_on_the_same_rows_are_named_together() -> None:
    found = [Overlap("t", "test", 9, 1, trained, 2, True, ("'a / b'",)) for trained in ("x", "y")]
    found.append(Overlap("t", "test", 9, 2, "z", 1))
    assert list(overlap_notes(found)) == [
        "t: 1 of 9 test rows stands in the training rows of x and y (4 training rows taken out), such as 'a / b'; "
        "2 stand in the training rows of z."
    ]


def test_a_text_of_a_pair_counts_for_a_task_that_reads_it_alone(tmp_path: Path) -> None:
    path = csv(tmp_path, "posts.csv", TEXTS, long=[f"{text}, said at length" for text in TEXTS])
    tasks = {
        "pair": SequenceClassification(dataset=source(path), text=["text", "long"], label="a"),
        "short": SequenceClassification(dataset=source(path), label="b"),
        "long": SequenceClassification(dataset=source(path), text="long", label="b"),
    }
    loaded = load_tasks(tasks)
    assert [item.trained for item in loaded["pair"].overlaps] == ["short"]
    (found,) = loaded["short"].overlaps
    assert (found.trained, found.found) == ("pair", found.trained_rows)
    assert loaded["pair"].overlaps[0].examples[0].count(" / ") == 1


def test_a_pair_is_found_in_either_order_and_written_otherwise() -> None:
    task = SequenceClassification(text=["p", "q"])
    ours = compared(task, p=["He said: no.", "alone"], q=['"Yes", she said', "pair"])
    theirs = compared(task, p=["yes she SAID", "pair"], q=["he said , no !", "of others"])
    found, standing = find_overlaps({"t": theirs}, {("s", "test"): ours})
    assert [(item.rows, item.found, item.trained_rows) for item in found] == [(2, 1, 1)]
    assert found[0].examples == ("'He said: no.' / '\"Yes\", she said'",)
    assert standing["t"].tolist() == [True, False]


def test_rows_of_tokens_and_of_several_texts_are_found_among_their_own_kind() -> None:
    tokens = TokenStore(np.array([5, 6, 7, 5, 6], np.int32), np.array([0, 2, 3, 5]), np.zeros(3, bool))
    alone = ComparedRows.of_tokens(tokens)
    assert alone.standing_in(ComparedRows.of_tokens(tokens.select([1]))).tolist() == [False, True, False]
    assert alone.show(0) == "'5 6'"
    given = compared(SequenceClassification(), input_ids=[[9], [5, 6]])
    assert alone.standing_in(given).tolist() == [True, False, True]
    assert given.show(1) == "'5 6'"
    three, pair = (
        ComparedRows(TextKeys(np.array([texts], np.uint64), *[np.zeros(1, np.uint64)] * 2), str)
        for texts in ((0, 1, 2), (0, 1))
    )
    assert not pair.standing_in(three).any()


def test_only_the_beginning_of_a_long_row_is_shown() -> None:
    task = SequenceClassification(text=["p", "q"])
    rows = compared(task, p=["x" * 30, "y" * 31], q=["a\nb", "c"])
    assert rows.show(0) == f"'{'x' * 30}' / 'a\\nb'"
    assert rows.show(1) == f"'{'y' * 27}...' / 'c'"


def compared(task: SequenceClassification, **columns: list[Any]) -> ComparedRows:
    dataset = Dataset.from_dict(columns)
    return ComparedRows.of(task, dataset, text_keys(task, dataset))


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


def test_tasks_that_make_other_columns_of_the_same_file_read_the_same_data(tmp_path: Path) -> None:
    path = csv(tmp_path, "posts.csv", TEXTS)
    made = {"rename": {"a": "mood"}, "map": {"mood": {"0": "x", "1": "y"}}, "concat": {"text": "{text}"}}
    tasks = {
        "a": SequenceClassification(dataset=source(path), label="a", validation_fraction=0.4),
        "b": SequenceClassification(dataset=source(path).model_copy(update=made), label="mood"),
    }
    with pytest.raises(DataError, match="and 0.1 for b, which reads the same data"):
        load_tasks(tasks)
    same = {name: task.model_copy(update={"validation_fraction": 0.2}) for name, task in tasks.items()}
    assert not any(item.overlaps for item in load_tasks(same).values())


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
