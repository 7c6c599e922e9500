from hf_mtl import SequenceClassification
from hf_mtl.tasks.head_shares import heads_of, share_of, shares_in_words, without_share


def test_a_head_says_what_it_shares_and_what_else() -> None:
    assert [share_of(head) for head in (None, "mlp", {"type": "mlp"}, {"share": ""}, {"share": 3})] == [None] * 5
    assert share_of({"type": "mlp", "share": "tone"}) == "tone"
    assert without_share({"type": "mlp", "share": "tone"}) == {"type": "mlp"}
    assert without_share({"share": "tone"}) is None
    assert without_share("mlp") == "mlp"


def test_a_task_that_says_nothing_of_a_shared_head_has_what_another_says() -> None:
    heads = {"a": {"share": "x"}, "b": {"share": "x", "type": "mlp"}, "c": {"share": "y"}, "d": None, "e": "vip"}
    tasks = {name: SequenceClassification(labels=2, head=head) for name, head in heads.items()}
    mlp = {"type": "mlp"}
    assert heads_of(tasks, "linear") == {"a": mlp, "b": mlp, "c": "linear", "d": "linear", "e": "vip"}
    assert heads_of(tasks, None)["c"] is None
    assert shares_in_words(tasks) == ["a, b: share 'x'", "c: share 'y'"]
