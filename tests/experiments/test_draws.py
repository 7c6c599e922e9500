import numpy as np

from hf_mtl.data.tokens import EncodedSplit, TokenStore
from hf_mtl.experiments.draws import Splits, draw, sample


def split(rows: int) -> EncodedSplit:
    """Rows of one token, with their numbers as labels."""
    ids = np.arange(rows, dtype=np.int32)
    return EncodedSplit(TokenStore(ids, np.arange(rows + 1), np.zeros(rows, dtype=bool)), np.arange(rows))


def labels(found: Splits, task: str = "a") -> list[int]:
    return [int(label) for label in found[task].labels]


def test_a_draw_depends_on_seed_and_task_alone() -> None:
    splits = {"a": split(30), "b": split(30)}
    drawn = draw(splits, {"a": 10, "b": 10}, seed=1)
    assert labels(drawn) == labels(draw({"a": splits["a"]}, {"a": 10}, seed=1))
    assert labels(drawn) != labels(drawn, "b")
    assert labels(drawn) != labels(draw(splits, {"a": 10, "b": 10}, seed=2))
    assert len(set(labels(drawn))) == 10


def test_a_smaller_draw_is_the_beginning_of_a_larger_one() -> None:
    splits = {"a": split(30)}
    small, large, whole = (labels(draw(splits, {"a": rows}, seed=0)) for rows in (5, 20, 99))
    assert large[:5] == small
    assert sorted(whole) == list(range(30))


def test_a_sample_is_in_order_and_the_same_in_every_run() -> None:
    first = labels(sample({"a": split(30)}, 7))
    assert first == sorted(first) == labels(sample({"b": split(9), "a": split(30)}, 7))
    assert len(first) == 7
    assert labels(sample({"a": split(5)}, 7)) == [0, 1, 2, 3, 4]
