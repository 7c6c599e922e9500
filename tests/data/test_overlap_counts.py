"""What a report keeps of overlapping rows is numbers, and no text of the data."""

from hf_mtl.data.overlap_counts import Overlap


def test_results_keep_the_counts_and_no_texts() -> None:
    found = Overlap("mood", "test", rows=9, found=2, trained="topic", trained_rows=3, examples=("a secret",))
    assert found.to_dict() == {
        "task": "mood",
        "split": "test",
        "rows": 9,
        "found": 2,
        "trained": "topic",
        "trained_rows": 3,
        "dropped": False,
    }
