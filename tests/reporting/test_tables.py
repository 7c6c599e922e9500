import math

from hf_mtl.reporting import results_table
from hf_mtl.reporting.tables import results_notes

RESULTS = {
    "tasks": {"emotion": {"f1_macro": 0.7765}, "emobank": {"pearson": 0.5, "mse": 123.45678}},
    "average": 0.638,
    "macro": 0.6,
    "worst": 0.5,
}


def test_results_show_every_score_and_summary_in_columns():
    assert results_table(RESULTS).splitlines() == [
        "task     metric       score",
        "---------------------------",
        "emotion  f1_macro    0.7765",
        "emobank  pearson     0.5000",
        "         mse       123.4568",
        "---------------------------",
        "average              0.6380",
        "macro                0.6000",
        "worst                0.5000",
    ]


def test_baselines_are_columns_and_what_they_lack_is_empty():
    baselines = {"majority": {"tasks": {"emotion": {"f1_macro": 0.1}}, "worst": 0.1}, "tfidf": RESULTS}
    lines = results_table(RESULTS, baselines).splitlines()
    assert lines[0].split() == ["task", "metric", "score", "majority", "tfidf"]
    assert lines[2].split() == ["emotion", "f1_macro", "0.7765", "0.1000", "0.7765"]
    assert lines[3].split() == ["emobank", "pearson", "0.5000", "0.5000"]
    assert lines[-1].split() == ["worst", "0.5000", "0.1000", "0.5000"]
    assert len({len(line) for line in lines}) == 1


def test_what_is_undefined_is_said_so_as_nan_and_as_null():
    table = results_table({"tasks": {"x": {"a": math.nan, "b": None}}, "average": None})
    assert table.count("undefined") == 3


def test_below_the_table_stands_what_its_numbers_mean_and_what_else_there_is_to_know():
    baselines = {"majority": {"tasks": {}}, "tfidf": {"tasks": {}, "notes": ["emotion: all rows are 'joy'."]}}
    lines = results_notes({**RESULTS, "notes": ["one."], "baselines": baselines}).splitlines()
    assert [line.split(":")[0] for line in lines[:3]] == ["average", "macro", "worst"]
    assert lines[3:] == ["", "one.", "tfidf: emotion: all rows are 'joy'."]
    assert len(results_notes(RESULTS).splitlines()) == 3


def test_a_name_stays_in_its_cell_and_a_note_on_its_line():
    results = {"tasks": {"a\n\x1b[2Jb": {"f1": 0.5}}, "notes": ["the label 'x\ny'."]}
    assert results_table(results).splitlines()[2] == "a\\n\\x1b[2Jb  f1      0.5000"
    assert results_notes(results).splitlines()[-1] == "the label 'x\\ny'."
