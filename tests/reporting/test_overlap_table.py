from hf_mtl.data.overlap_counts import Overlap
from hf_mtl.reporting.overlap_table import overlap_text

FOUND = Overlap("mrpc", "test", 1725, 499, "stsb", 512, examples=("'one' / 'two'", "'three'"))
DROPPED = Overlap("hate", "validation", 999, 2, "hate", 3, dropped=True, examples=("'x'",))


def test_each_split_and_training_task_has_a_line_and_its_examples() -> None:
    assert overlap_text([FOUND, DROPPED]).splitlines() == [
        "to score  split       in train of   rows  found  share  train rows  taken out",
        "-----------------------------------------------------------------------------",
        "mrpc      test        stsb         1,725    499  28.9%         512         no",
        "hate      validation  hate           999      2   0.2%           3        yes",
        "mrpc test, in train of stsb:",
        "  'one' / 'two'",
        "  'three'",
        "hate validation, in train of hate:",
        "  'x'",
        "Rows to score that stand in training rows; case, punctuation and blanks do not",
        "  matter. data: {contamination: drop} takes these training rows out.",
    ]


def test_what_is_taken_out_needs_no_remedy() -> None:
    assert "contamination" not in overlap_text([DROPPED])


def test_nothing_found_is_said_and_nothing_is_said_where_nobody_looked() -> None:
    assert overlap_text([]) == "No row to score stands in the training rows of a task."
    assert overlap_text(None) == ""
