import numpy as np
import pytest
from datasets import Dataset

from hf_mtl import TokenClassification
from hf_mtl.data.batch_sites import sites_of
from hf_mtl.inference.encode import encode_splits
from hf_mtl.tasks.layout import LaidOut
from tests.data.tokenizers_of import fast

LABELS = ["O", "B-X", "I-X"]
ROWS = {
    "tokens": [["unbelievable", "Hello", "world", ","], ["tokenizing", "", "ok."]],
    "tags": [["B-X", "O", None, "O"], ["B-X", "I-X", "I-X"]],
}


def laid(split: str, max_length: int | None = None, **options: object) -> LaidOut:
    task, rows = TokenClassification(labels=LABELS, **options), Dataset.from_dict(ROWS)  # type: ignore[arg-type]
    labels = task.encode("t", split, rows)[0]
    found = task.lay_out("t", split, rows, labels, fast("wordpiece"), max_length)
    assert found is not None
    return found


def pieces(text: str) -> int:
    return len(fast("wordpiece").tokenize(text))


def test_a_word_looks_at_its_first_piece_and_one_without_is_left_out_of_the_loss_alone() -> None:
    found = laid("train")
    assert found.labels is not None
    assert found.labels.tolist() == [[1, 0, -100, 0], [1, -100, 2, -100]]
    assert found.references is not None
    assert found.references.tolist() == [[1, 0, -100, 0], [1, 2, 2, -100]]
    sites = found.sites
    assert sites.shape == (4,)
    assert sites.places is not None
    assert sites.places.tolist() == [0, 1, 2, 3, 0, 2]
    assert sites.tokens is not None
    long = pieces("unbelievable")
    assert sites.tokens.tolist()[:2] == [1, 1 + long]
    assert sites.tokens.tolist()[4:] == [1, 1 + pieces("tokenizing")]
    [note] = found.notes
    assert note == (
        "t: the tokenizer has no piece for 1 word of train, such as '': no loss counts them, and they count as "
        "predicted O."
    )


def test_all_pieces_of_a_word_are_labelled_in_training_alone() -> None:
    found, first = laid("train", word_pieces="all"), laid("validation", word_pieces="all")
    assert found.labels is not None
    row = [1, *[2] * (pieces("unbelievable") - 1), *[0] * pieces("Hello"), *[-100] * pieces("world"), 0]
    assert found.labels[0].tolist()[: len(row)] == row
    assert found.sites.tokens is not None
    assert found.sites.tokens[: len(row)].tolist() == list(range(1, 1 + len(row)))
    assert found.sites.places is None
    assert found.references is not None
    assert found.references.tolist() == laid("train").references.tolist()  # type: ignore[union-attr]
    assert first.labels is not None
    assert first.labels.tolist() == laid("train").labels.tolist()  # type: ignore[union-attr]


def test_what_is_cut_off_in_training_is_said_and_elsewhere_read_in_windows() -> None:
    limit = 2 + pieces("unbelievable") + 1
    found = laid("train", limit)
    assert found.labels is not None
    assert found.labels[0].tolist() == [1, 0, -100, -100] or pieces("Hello") > 1
    lost = int((np.asarray(found.references) != found.labels).sum())
    assert f"t: {lost} of 6 labelled words of train and 1 of 2 entities are lost with what is cut off." in found.notes
    windows = laid("validation", limit)
    assert windows.labels is not None
    assert windows.labels.tolist() == laid("train").labels.tolist()  # type: ignore[union-attr]
    assert any("of validation longer than" in note and "windows, which share half" in note for note in windows.notes)


def test_a_batch_of_rows_with_windows_is_as_wide_as_their_words() -> None:
    task = TokenClassification(labels=LABELS)
    rows = Dataset.from_dict({"tokens": [["ok."], ["Hello"] * 30], "tags": [["O"], ["O"] * 30]})
    split = encode_splits({"t": rows}, {"t": task}, fast("wordpiece"), 12, "validation")["t"]
    sites = sites_of(split, np.array([1, 0]))
    assert sites is not None
    assert sites["shape"] == [2, 30]
    assert sorted(sites["places"].tolist()) == [*range(31)]
    assert split.masses is not None
    assert split.masses.tolist() == [1, 30]
    assert split.truncated == 0


@pytest.mark.parametrize("word_pieces", ["first", "all"])
@pytest.mark.parametrize("split", ["train", "validation"])
def test_rows_that_are_left_of_more_have_the_same_layout(split: str, word_pieces: str) -> None:
    task, rows = TokenClassification(labels=LABELS, word_pieces=word_pieces), Dataset.from_dict(ROWS)  # type: ignore[arg-type]
    both = task.encode("t", split, rows)[0]
    assert both.shape == (2, 4)
    found = task.lay_out("t", split, rows.select([1]), both[1:], fast("wordpiece"), 6)
    alone = task.lay_out("t", split, rows.select([1]), both[1:, :3], fast("wordpiece"), 6)
    assert found is not None
    assert alone is not None
    assert found.labels is not None
    assert alone.labels is not None
    assert found.labels[:, : alone.labels.shape[1]].tolist() == alone.labels.tolist()
    assert (found.labels[:, alone.labels.shape[1] :] == -100).all()
    assert found.notes == alone.notes
