import pytest
import torch

from hf_mtl.errors import ModelError
from hf_mtl.modeling.ragged import align_left, rectangle

from .families import FAMILIES, OTHERS, make_model, make_texts, padding_of

LENGTHS = [9, 4, 7]
IDS = torch.tensor([[5, 6, 7, 0], [0, 8, 9, 0], [0, 0, 0, 3]])
MASK = torch.tensor([[1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1]])


def test_padding_is_moved_behind_the_tokens_with_everything_beside_them() -> None:
    found = align_left({"input_ids": IDS, "attention_mask": MASK, "token_type_ids": IDS * 10})
    assert found["input_ids"].tolist() == [[5, 6, 7, 0], [8, 9, 0, 0], [3, 0, 0, 0]]
    assert found["attention_mask"].tolist() == [[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0]]
    assert torch.equal(found["token_type_ids"], found["input_ids"] * 10)


def test_padding_on_the_right_stays_as_it_is() -> None:
    for mask in (MASK[:1], MASK[:1].bool(), MASK[:1].float()):
        inputs = {"input_ids": IDS[:1], "attention_mask": mask}
        assert align_left(inputs) is inputs
    assert align_left({"input_ids": IDS}) == {"input_ids": IDS}


def test_a_rectangle_has_what_was_given() -> None:
    assert rectangle(IDS, None, None) == {"input_ids": IDS}
    found = rectangle(IDS, MASK, IDS * 10)
    assert found["input_ids"].tolist()[1] == [8, 9, 0, 0]
    assert torch.equal(found["token_type_ids"], found["input_ids"] * 10)
    with pytest.raises(TypeError, match="give input_ids"):
        rectangle(None, MASK, None)


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (
            [[1, 1, 1, 1], [1, 0, 0, 1]],
            "attention_mask: has a 0 between two 1 in row 1, counted from 0. Only padding",
        ),
        ([[0, 0, 0, 0], [1, 1, 1, 1]], "attention_mask: is 0 everywhere in row 0"),
        ([[1, 1, 1], [1, 1, 1]], r"attention_mask has the shape \[2, 3\]; give one that fits input_ids, \[2, 4\]"),
    ],
)
def test_a_mask_that_cannot_be_honoured_is_refused(mask: list[list[int]], said: str) -> None:
    model = make_model("bert")
    with pytest.raises(ModelError, match=said):
        model(IDS[:2], torch.tensor(mask), task="train")


@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS])
def test_padding_on_the_left_gives_the_logits_of_padding_on_the_right(family: str) -> None:
    pad = padding_of(family)
    model = make_model(family)
    ids, mask = make_texts(LENGTHS, padding=pad)
    width = ids.shape[1]
    turned = [torch.roll(ids[row], width - length) for row, length in enumerate(LENGTHS)]
    turned_mask = [torch.roll(mask[row], width - length) for row, length in enumerate(LENGTHS)]
    for task in model.tasks:
        expected = model(ids, mask, task=task).logits[task]
        found = model(torch.stack(turned), torch.stack(turned_mask), task=task).logits[task]
        assert torch.equal(found, expected)
