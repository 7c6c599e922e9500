from hf_mtl.reporting.census_tables import census_text
from hf_mtl.reporting.plan import SplitCensus, TaskCensus


def topic(name: str = "topic", weighted: bool = False) -> TaskCensus:
    splits = {
        "train": SplitCensus(1009, repeated=14, relabelled=3),
        "validation": SplitCensus(30, shared={"train": 5}),
        "test": SplitCensus(20, shared={"train": 0, "validation": 0}),
    }
    counts = {"a": (1000, 20, 12), "b": (9, 10, 8), "c": (0, 0, 0)}
    classes = {label: dict(zip(splits, of, strict=True)) for label, of in counts.items()}
    return TaskCensus(name, splits, classes, weighted, "class_weights")


def many(name: str, classes: int) -> TaskCensus:
    counts = {f"class {index}": {"train": 1000 - 6 * index, "validation": 3} for index in range(classes)}
    return TaskCensus(name, {"train": SplitCensus(90_000), "validation": SplitCensus(3)}, counts)


SCORE = TaskCensus("score", {"train": SplitCensus(97), "validation": SplitCensus(41)})


def test_rows_classes_texts_and_rare_classes_are_shown() -> None:
    assert census_text([topic(), SCORE]).splitlines() == [
        "rows   train  validation  test",
        "------------------------------",
        "topic  1,009          30    20",
        "score     97          41  none",
        "",
        "classes  class  train  validation  test",
        "---------------------------------------",
        "topic    a      1,000          20    12",
        "         b          9          10     8",
        "         c          0           0     0",
        "",
        "same texts  split       repeated  in train  in validation  other label",
        "----------------------------------------------------------------------",
        "topic       train             14                                     3",
        "            validation         0         5                           0",
        "Rows whose text is also in an earlier row of the split, in train, in validation,",
        "  or in any row of the task with another label. Case, punctuation and blanks do",
        "  not matter.",
        "",
        "rare classes  the fewest train rows  under 10  weights",
        "------------------------------------------------------",
        "topic         c (0), b (9)                  2     none",
        "class_weights: balanced, a key of a task, lets rare classes weigh as much as",
        "  others in the loss.",
    ]


def test_what_there_is_none_of_takes_no_table() -> None:
    assert census_text([]) == ""
    text = census_text([SCORE])
    assert text.splitlines()[-1] == "No task has the same text twice."
    assert "class" not in text


def test_a_task_that_weighs_its_classes_needs_no_remedy() -> None:
    assert "lets rare classes" in census_text([topic("one", weighted=True), topic("two")])
    text = census_text([topic("one", weighted=True)])
    assert text.splitlines()[-1].split() == ["one", "c", "(0),", "b", "(9)", "2", "set"]


def test_of_many_classes_the_largest_and_the_smallest_are_shown() -> None:
    lines = census_text([many("one", 150)]).split("\n\n")[1].splitlines()
    assert len(lines) == 2 + 20
    assert lines[2].split() == ["one", "class", "0", "1,000", "3"]
    assert lines[12].split() == [*["...", "131", "more", "940", "to", "160", "3"]]
    assert lines[-1].split() == ["class", "149", "106", "3"]


def test_sixty_tasks_of_150_classes_fit_a_terminal() -> None:
    tasks = [many(f"a-task-{index}", 150) for index in range(59)]
    long = {f"{'a long name of a class ' * 5}{index}": {"train": index, "validation": 1} for index in range(12)}
    lines = census_text([*tasks, TaskCensus("named", SCORE.splits, long)]).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) < 60 + 3 * 60 + 20
    (rare,) = (line for line in lines[-5:] if line.startswith("named"))
    assert "..." in rare


def test_what_rows_do_not_tell_is_shown_by_class_and_split() -> None:
    splits = {"train": SplitCensus(40), "test": SplitCensus(9)}
    classes = {"a": {"train": 20, "test": 3}, "b": {"train": 12, "test": 4}}
    unknown = {"b": {"train": 15, "test": 0}}
    text = census_text([TaskCensus("tags", splits, classes, weights_key="positive_weight", unknown=unknown)])
    assert text.split("\n\n")[2].splitlines() == [
        "not known  label or target  train  validation  test",
        "---------------------------------------------------",
        "tags       b                   15                 0",
    ]


def test_each_key_that_weighs_classes_is_named_and_a_type_without_one_has_no_remedy() -> None:
    few = {"a": {"train": 2}, "b": {"train": 30}}
    tasks = [
        TaskCensus(name, {"train": SplitCensus(32)}, few, weights_key=key)
        for name, key in (("one", "class_weights"), ("two", "positive_weight"), ("three", None))
    ]
    text = census_text(tasks)
    assert text.count("lets rare classes weigh") == 2
    assert "positive_weight: balanced" in text
    assert "lets rare classes" not in census_text(tasks[2:])
