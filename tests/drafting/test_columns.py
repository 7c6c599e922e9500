"""What kind of thing a column is taken for."""

from typing import Any

import pytest
from datasets import ClassLabel, Dataset, Features, Sequence

from hf_mtl.drafting.columns import look_at

N = 40


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("text", [f"w1 w2 w{i}" for i in range(N)], "text"),
        ("text", ["same words again", "other words"] * (N // 2), "text"),
        ("label", ["a", "b"] * (N // 2), "classes"),
        ("label", [i % 2 for i in range(N)], "truth"),
        ("flag", [bool(i % 2) for i in range(N)], "truth"),
        ("stars", [i % 5 + 1 for i in range(N)], "whole"),
        ("label", [i % 4 for i in range(N)], "whole"),
        ("score", [i / 7 for i in range(N)], "numbers"),
        ("likes", [i * i for i in range(N)], "numbers"),
        ("row", list(range(5, N + 5)), "id"),
        ("user_id", [i % 7 for i in range(N)], "id"),
        ("hash", [f"x{i}" for i in range(N)], "id"),
        ("word", [f"x{i}" for i in range(N)], "id"),
        ("year", [1990 + i % 20 for i in range(N)], "date"),
        ("timestamp", [1700000000 + 37 * i for i in range(N)], "date"),
        ("when", ["3/4/2021 10:20"] * (N - 1) + ["4/4/2021"], "date"),
        ("lang", ["en"] * N, "constant"),
        ("note", [None] * N, "empty"),
        ("author", [f"ann bee{i}" for i in range(N)], "words"),
        ("topics", ["['a', 'b']"] * N, "constant"),
        ("topics", [f"['a', 'b{i}']" for i in range(N)], "spelled lists"),
        ("tokens", [["a", "b"]] * N, "lists"),
        ("answers", [{"text": ["a"], "answer_start": [0]}] * N, "answers"),
        ("spans", [[{"start": 0, "end": 1, "label": "X"}]] * N, "spans"),
        ("box", [{"x": 1}] * N, "other"),
        ("grid", [[["a"], []]] * N, "other"),
        ("input_ids", [[1, 2]] * N, "token ids"),
    ],
)
def test_a_column_is_taken_for(name: str, values: list[Any], kind: str) -> None:
    column = look_at(Dataset.from_dict({name: values}), spelled=False)[name]
    assert column.kind == kind
    assert column.why


def test_texts_of_a_file_without_types_are_read_as_numbers_where_they_are() -> None:
    rows = Dataset.from_dict({"stars": [str(i % 3 + 1) for i in range(N)], "code": [f"00{i % 3}" for i in range(N)]})
    spelled = look_at(rows, spelled=True)
    assert [spelled[name].kind for name in ("stars", "code")] == ["whole", "whole"]
    assert {column.kind for column in look_at(rows, spelled=False).values()} == {"classes"}


def test_many_classes_that_are_counted_are_classes_where_the_column_is_called_so() -> None:
    values = [i % 30 for i in range(300)]
    kinds = look_at(Dataset.from_dict({"label": values, "age": values}), spelled=False)
    assert (kinds["label"].kind, kinds["age"].kind) == ("whole", "numbers")


def test_declared_classes_are_known_by_name_also_in_lists() -> None:
    names = ClassLabel(names=["a", "b"])
    rows = Dataset.from_dict(
        {"label": [0, 0], "topics": [[0], [0, 1]]}, features=Features({"label": names, "topics": Sequence(names)})
    )
    looks = look_at(rows, spelled=False)
    assert (looks["label"].kind, looks["topics"].kind) == ("classes", "lists")
    assert looks["label"].names == looks["topics"].names == ["a", "b"]


def test_numbers_among_which_a_few_words_stand_are_numbers() -> None:
    scores = [f"{i / 7:.3f}" for i in range(303)]
    spelled = {
        "score": [*scores, *["n/a", " n/a"] * 3, *["-", "unknown"]],
        "stars": [*(str(i % 5) for i in range(305)), *["N/A"] * 6],
        "grade": [*(str(i % 5) for i in range(305)), *["n/a", "unsure"] * 3],
        "sarcastic": [*(str(i % 2) for i in range(305)), *["n/a"] * 6],
        "mixed": [*scores[:250], *["n/a"] * 61],
        "words": [*scores, *(f"word {i}" for i in range(8))],
    }
    looks = look_at(Dataset.from_dict({name: values[:311] for name, values in spelled.items()}), spelled=True)
    assert (looks["score"].kind, dict(looks["score"].odd)) == ("numbers", {"n/a": 6, "-": 1, "unknown": 1})
    assert looks["score"].count == 303
    assert (looks["stars"].kind, looks["stars"].distinct, dict(looks["stars"].odd)) == ("whole", 5, {"N/A": 6})
    assert (looks["grade"].kind, looks["grade"].distinct) == ("classes", 7), "one may be unsure"
    assert (looks["sarcastic"].kind, looks["sarcastic"].distinct) == ("classes", 3)
    assert not looks["mixed"].odd, "a fifth are words"
    assert looks["words"].kind == "numbers"
    few = Dataset.from_dict({"score": [*scores[:19], "n/a"]})
    assert not look_at(few, spelled=True)["score"].odd, "so few rows say nothing"
