"""`hf-mtl init`: what is guessed of files of each type of task, and that training takes it as it is."""

import csv
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml

from hf_mtl.drafting import draft_recipe, quickstart_recipe
from hf_mtl.errors import DataError, ModelError, UserError
from hf_mtl.recipe import load_recipe
from hf_mtl.tasks import task_types
from tests.drafting import files
from tests.training import runs

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
GUESSED = {
    "mood": ("sequence_classification", "text", "label"),
    "multi": ("multi_label_classification", "comment", ["toxic", "rude", "threat"]),
    "scores_v": ("regression", "text", "V"),
    "scores_a": ("regression", "text", "A"),
    "priority": ("ordinal_classification", "subject", "priority"),
    "queue": ("sequence_classification", "subject", "queue"),
    "copa": ("multiple_choice", "premise", "label"),
    "exam": ("multiple_choice", "question", "answer"),
    "odd": ("sequence_classification", "text", "label"),
    "ner_tags": ("token_classification", "tokens", "ner_tags"),
    "pos_tags": ("token_classification", "tokens", "pos_tags"),
    "spans": ("token_classification", "text", "entities"),
    "squad": ("span_extraction", ["question", "context"], "answers"),
    "topics": ("multi_label_classification", "text", "topics"),
    "swag": ("multiple_choice", "ctx", "label"),
    "pairs": ("sequence_classification", ["premise", "hypothesis"], "gold_label"),
    "stars": ("ordinal_classification", "review", "stars"),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with files of every type, and the recipe of all of them."""
    folder = tmp_path_factory.mktemp("draft")
    files.write_all(folder / "data")
    with runs.own_cache(folder), runs.inside(folder):
        draft_recipe(["data"], "mine/recipe.yaml", "scratch")
        yield folder


def text_of(world: Path) -> str:
    return " ".join((world / "mine/recipe.yaml").read_text().replace("# ", "").split())


def test_every_type_of_task_is_guessed_with_its_columns(world: Path) -> None:
    tasks = yaml.safe_load((world / "mine/recipe.yaml").read_text())["tasks"]
    assert {name: (task["type"], task["text"], task["label"]) for name, task in tasks.items()} == GUESSED
    assert {kind for kind, _, _ in GUESSED.values()} == set(task_types())
    assert tasks["priority"]["labels"] == ["low", "Medium", "high"]
    assert tasks["odd"]["labels"] == ["0", "4"]
    assert tasks["odd"]["dataset"]["filter"] == {"column": "text", "not_blank": True}
    assert tasks["exam"]["choices"] == ["A", "B", "C"]
    assert tasks["stars"]["dataset"]["sep"] == ";"
    assert tasks["mood"]["dataset"]["data_files"] == {
        "train": "../data/mood-train.csv",
        "validation": "../data/mood-dev.csv",
    }


def test_of_tasks_without_test_rows_it_is_said_how_to_have_some(world: Path, tmp_path: Path) -> None:
    said = "No test rows, which train --test and compare need: test_fraction: 0.1 carves some."
    assert text_of(world).count(said) == len(GUESSED)
    for split in ("train", "test"):
        rows = [{"text": f"{split} {number}", "label": "ab"[number % 2]} for number in range(60)]
        files.write_csv(tmp_path / f"{split}.csv", rows)
    assert said not in draft_recipe([str(tmp_path)], str(tmp_path / "recipe.yaml"), "scratch").path.read_text()


def test_guesses_say_why_and_doubtful_columns_what_they_may_be(world: Path) -> None:
    said = text_of(world)
    for sentence in (
        "Whole numbers in a column called 'stars' have an order",
        "id: not used; it is called 'id'. Looks like an id",
        "date: not used; its values look like '2024-01-01'. Looks like a date.",
        "lang: not used; every row has 'en'. It teaches nothing.",
        "title: not used; every row has 'same'",
        "If they have no order: type: sequence_classification.",
        "Its first line has a semicolon between names",
        "By the names of the files train is mood-train.csv, validation is mood-dev.csv.",
        "A small encoder from random weights, as asked",
    ):
        assert sentence in said


def test_training_takes_the_recipe_as_it_is(world: Path) -> None:
    results = runs.train(world / "mine/recipe.yaml", world / "run", "training.max_steps=2", "training.use_cpu=true")
    assert results["tasks"].keys() == GUESSED.keys()


def test_a_drafted_recipe_needs_no_code_and_is_the_same_when_drafted_again(world: Path) -> None:
    first = (world / "mine/recipe.yaml").read_bytes()
    load_recipe(world / "mine/recipe.yaml")
    draft_recipe(["data"], "mine/recipe.yaml", "scratch", overwrite=True)
    assert (world / "mine/recipe.yaml").read_bytes() == first


def test_a_recipe_that_is_there_is_not_replaced(world: Path) -> None:
    before = (world / "mine/recipe.yaml").read_bytes()
    with pytest.raises(UserError, match="is there. Give another name, or --overwrite to replace it"):
        draft_recipe(["data/copa.csv"], "mine/recipe.yaml", "scratch")
    with pytest.raises(UserError, match="'mine' is a folder"):
        quickstart_recipe("mine")
    assert (world / "mine/recipe.yaml").read_bytes() == before


def test_what_cannot_be_drafted_says_what_was_seen_and_writes_nothing(world: Path) -> None:
    files.write_csv(world / "numbers.csv", [{"id": number, "x": number / 7} for number in range(20)])
    files.write_csv(
        world / "bare.csv", [{"text": f"w1 w2 w{number}", "when": f"2024-01-{number + 1:02}"} for number in range(20)]
    )
    with pytest.raises(DataError) as caught:
        draft_recipe(["numbers.csv", "bare.csv"], "new.yaml", "scratch")
    said = str(caught.value)
    assert "numbers.csv: no column looks like texts" in said
    assert "bare.csv: no column looks like labels" in said
    assert "when: not used; its values look like '2024-01-01'" in said
    with pytest.raises(ModelError, match="no-such-folder"):
        draft_recipe(["data/copa.csv"], "new.yaml", "./no-such-folder")
    assert not (world / "new.yaml").exists()


def test_what_so_few_rows_cannot_be_scored_by_is_left_out(world: Path) -> None:
    """No rank has an order and no number a correlation in one row; training would refuse them."""
    rows = [{"text": f"w1 w2 w{number}", "score": number / 3} for number in range(8)]
    files.write_csv(world / "few-train.csv", rows)
    files.write_csv(world / "few-dev.csv", rows[:1])
    ranks = [{"review": f"w1 w2 w{number}", "stars": number % 3 + 1} for number in range(8)]
    files.write_csv(world / "rank-train.csv", ranks)
    files.write_csv(world / "rank-dev.csv", ranks[:1])
    names = [f"{name}-{split}.csv" for name in ("few", "rank") for split in ("train", "dev")]
    draft_recipe(names, "few.yaml", "scratch")
    tasks = yaml.safe_load((world / "few.yaml").read_text())["tasks"]
    assert tasks["rank"]["metrics"] == ["accuracy"]
    assert (tasks["few"]["validation_fraction"], tasks["few"]["dataset"]["splits"]) == (0, {"validation": None})
    runs.train(world / "few.yaml", world / "few", "training.max_steps=1", "training.use_cpu=true")


def test_a_name_of_a_column_ends_no_comment(world: Path) -> None:
    odd = "note\ntraining: {output_dir: elsewhere}\u2028x: 1"
    rows = [{"text": f"w1 w2 w{number}", "label": number % 2, odd: f"w{number} w3 w4 w5"} for number in range(40)]
    files.write_lines(world / "odd-name.jsonl", rows)
    draft_recipe(["odd-name.jsonl"], "odd.yaml", "scratch", overwrite=True)
    assert yaml.safe_load((world / "odd.yaml").read_text())["training"]["output_dir"] == "runs/odd"


def test_columns_with_very_long_names_make_tasks_with_names_of_a_length_that_folders_have(world: Path) -> None:
    ones, twos = "is it so " * 40, "is it so " * 40 + "indeed"
    rows = [{"text": f"w1 w2 w{number}", ones: "ab"[number % 2], twos: "cd"[number // 3 % 2]} for number in range(40)]
    files.write_csv(world / "long-names.csv", rows)
    draft_recipe(["long-names.csv"], "long-names.yaml", "scratch")
    tasks = yaml.safe_load((world / "long-names.yaml").read_text())["tasks"]
    assert [task["label"] for task in tasks.values()] == [ones, twos]
    assert max(map(len, tasks)) < 100


def test_a_first_line_that_may_be_a_row_is_said(world: Path) -> None:
    rows = [(f"w1 w2 w{number}", "ab"[number % 2], number % 7 / 2) for number in range(60)]
    for name, first in {"headless": [], "named": ["words", "mood", "score"], "alike": ["text", "a", "0.5"]}.items():
        with (world / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([*([first] if first else []), *rows])
        draft_recipe([f"{name}.csv"], f"{name}.yaml", "scratch")
    said = {
        name: " ".join((world / f"{name}.yaml").read_text().replace("# ", "").split())
        for name in ("headless", "named", "alike")
    }
    assert (
        "Its first line names the columns, and 'a' looks like a value and not like a name. If it is a row, name them "
        "yourself, in dataset: header: [name1, ..., name3]." in said["headless"]
    )
    assert "looks like a value" not in said["named"] + said["alike"]
    numbers = [{"12": number / 7, "x y": f"w1 w2 w{number}"} for number in range(40)]
    files.write_csv(world / "numbered.csv", numbers)
    draft_recipe(["numbered.csv"], "numbered.yaml", "scratch")
    assert "and '12' looks like a value" in (world / "numbered.yaml").read_text()


def test_the_quickstart_is_that_of_the_repository(world: Path) -> None:
    """The package ships a copy, as a wheel has no recipes."""
    path = quickstart_recipe("quickstart.yaml")
    theirs = (ROOT / "recipes/quickstart.yaml").read_text("utf-8")
    assert "#   hf-mtl train quickstart.yaml --test" in path.read_text("utf-8").splitlines()
    assert path.read_text("utf-8") == theirs.replace("recipes/quickstart.yaml", "quickstart.yaml")
    load_recipe(path)


def test_more_rows_than_are_checked_are_looked_at_in_part(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last rows would be refused, and are not looked at; that is said."""
    rows = [{"text": f"w1 w2 w{number}", "label": "ab"[number % 2]} for number in range(90)]
    files.write_csv(world / "large.csv", [*rows, {"text": "", "label": "a"}])
    for name in ("settle.ROWS", "columns.ROWS"):
        monkeypatch.setattr(f"hf_mtl.drafting.{name}", 50)
    monkeypatch.setattr("hf_mtl.drafting.settle.CHECKED_WHOLE", 60)
    draft_recipe(["large.csv"], "large.yaml", "scratch")
    text = (world / "large.yaml").read_text()
    assert "Only the first 50 rows of each split were checked" in text
    assert "not_blank" not in text


def test_rows_without_a_label_are_left_out_whatever_the_type(world: Path) -> None:
    labels = {"ner": ("ner_tags", "pos_tags"), "spans": ("entities",), "squad": ("answers",), "topics": ("topics",)}
    labels |= {"swag": ("label",), "scores": ("V", "A"), "multi": ("toxic",), "tickets": ("priority", "queue")}
    draw = random.Random(0)
    makers = {name.split(".")[0]: make for name, make in {**files.LINES, **files.CSV}.items()}
    for name, columns in labels.items():
        rows = [makers[name](draw) for _ in range(80)]
        rows[3] |= dict.fromkeys(columns)
        files.write_lines(world / "without" / f"{name}.jsonl", rows)
    draft_recipe(["without"], "without.yaml", "scratch")
    tasks = yaml.safe_load((world / "without.yaml").read_text())["tasks"]
    expected = {name: kind for name, (kind, _, _) in GUESSED.items() if name not in NOT_WITHOUT}
    assert {name: task["type"] for name, task in tasks.items()} == expected
    said = (world / "without.yaml").read_text()
    # Where only one of several labels is missing, a row keeps the others.
    assert said.count("# 1 of 80 train rows has no label and was dropped.") == len(expected) - 1


NOT_WITHOUT = ("mood", "copa", "exam", "odd", "pairs", "stars")


def test_rows_whose_lists_do_not_match_are_named(world: Path) -> None:
    tags: dict[int, Any] = {7: ["O"], 9: None}
    rows = [
        {"tokens": ["w1", "w2", f"w{number}"], "ner_tags": tags.get(number, ["O", "B-X", "O"])}
        for number in range(40)
    ]
    files.write_lines(world / "uneven.jsonl", rows)
    with pytest.raises(DataError, match=r"uneven.jsonl: .* ner_tags, tokens: no token_classification, as .*row 7"):
        draft_recipe(["uneven.jsonl"], "uneven.yaml", "scratch")


def test_what_cannot_be_drafted_hides_nothing_of_the_others(world: Path) -> None:
    files.write_csv(world / "plain.csv", [{"id": number, "x": number / 7} for number in range(20)])
    (world / "broken.csv").write_text("text,label\na,b\na,b,c\n")
    with pytest.raises(DataError) as caught:
        draft_recipe(["gone.csv", "data/copa.csv", "broken.csv", "plain.csv"], "others.yaml", "scratch")
    gone, broken, plain = map(str, caught.value.mistakes)
    assert "gone.csv" in gone
    assert "broken.csv' has 2 columns, and 1 row has another number of fields" in broken
    assert plain.startswith("plain.csv: no column looks like texts")
    found = "copa: multiple_choice of 'label' ("
    assert f"Without what has mistakes, init would draft {found}" in plain
    assert found not in gone + broken
    assert not (world / "others.yaml").exists()


def test_words_in_a_column_of_numbers_are_said_and_left_out(world: Path) -> None:
    """The words of the second file are none of the first."""
    rows = [{"text": f"w1 w2 w{number}", "score": number / 7, "other": number * number} for number in range(60)]
    files.write_csv(world / "odd-train.csv", [*rows, *({**row, "score": "n/a"} for row in rows[:4])])
    files.write_csv(world / "odd-dev.csv", [*rows[:20], {**rows[30], "score": "-"}])
    draft = draft_recipe(["odd-train.csv", "odd-dev.csv"], "odd-values.yaml", "scratch")
    task = yaml.safe_load((world / "odd-values.yaml").read_text())["tasks"]["score"]
    assert (task["type"], task["dataset"]["missing"]) == ("regression", {"score": ["n/a", "-"]})
    assert "score: regression of 'score' (60 train, 20 validation rows)" in draft.tasks
    said = " ".join((world / "odd-values.yaml").read_text().replace("# ", "").split())
    assert "4 rows hold 'n/a' and 1 row holds '-' in 'score', which are no numbers: by missing" in said


def test_a_word_for_nothing_is_no_rank_and_of_another_word_it_is_said_how_it_would_be_none(world: Path) -> None:
    rows = [{"text": f"w1 w2 w{number}", "stars": number % 5 + 1, "grade": number % 3 + 1} for number in range(80)]
    for row in rows[:4]:
        row.update(stars="n/a", grade="unsure")
    files.write_csv(world / "ranks.csv", rows)
    draft_recipe(["ranks.csv"], "ranks.yaml", "scratch")
    text = (world / "ranks.yaml").read_text()
    stars, grade = yaml.safe_load(text)["tasks"].values()
    assert (stars["type"], stars["dataset"]["missing"]) == ("ordinal_classification", {"stars": ["n/a"]})
    assert (grade["type"], "missing" in grade["dataset"]) == ("sequence_classification", False)
    said = " ".join(text.replace("# ", "").split())
    assert "Among numbers 4 rows hold 'unsure'. If that is no class, dataset: missing: {grade: ['unsure']}" in said


@pytest.mark.skipif(not DATA.exists(), reason="no benchmark data beside the repository")
def test_benchmark_files_are_guessed_as_they_are_meant(world: Path) -> None:
    given = [str(DATA / name) for name in ("tweeteval/stance", "affecteval", "glue/stsb", "ner/wnut17")]
    datasets.disable_progress_bars()
    draft_recipe(given, "shared.yaml", "scratch")
    tasks = yaml.safe_load((world / "shared.yaml").read_text())["tasks"]
    kinds = {name: (task["type"], task["text"]) for name, task in tasks.items()}
    assert kinds == {
        "stance": ("sequence_classification", "text"),
        **{f"emobank_{name}": ("regression", "text") for name in "vad"},
        "ei_reg": ("regression", "text"),
        "emotion": ("sequence_classification", "text"),
        "goemotions": ("sequence_classification", "text"),
        "stsb": ("regression", ["text", "text_pair"]),
        "wnut17": ("token_classification", "tokens"),
    }


@pytest.mark.slow
@pytest.mark.skipif(not DATA.exists(), reason="no benchmark data beside the repository")
def test_benchmark_files_train(world: Path) -> None:
    draft_recipe([str(DATA)], "all.yaml", "scratch")
    runs.train(world / "all.yaml", world / "all", "training.max_steps=2", "training.use_cpu=true")
