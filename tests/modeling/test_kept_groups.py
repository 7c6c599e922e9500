"""Heads that several tasks share are taken over as one, and rest as one."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from hf_mtl import MultiTaskModel, Regression, SequenceClassification, join_runs
from hf_mtl.errors import ModelError
from hf_mtl.inference.manifest import seal
from hf_mtl.modeling.resting import rest_heads, resting_layers
from hf_mtl.tasks import Task
from tests import tiny
from tests.training import trainers

TEXTS = ["w1 w2 w3", "w59 w7"]
SHARED = {"share": "x"}


def mood(**options: object) -> Task:
    return SequenceClassification(labels=["good", "bad"], **{"head": SHARED, **options})  # type: ignore[arg-type]


def save(folder: Path, tasks: dict[str, Task] | None = None, **options: object) -> MultiTaskModel:
    tasks = tasks or {"a": mood(head_learning_rate=0.5), "b": mood(), "score": Regression()}
    model = tiny.model(tasks=tasks, **options)
    if "score" in tasks:
        model.set_statistics("score", mean=[1.0], std=[2.0])
    model.save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    seal(folder)
    return model.eval()


def logits(model: MultiTaskModel, task: str) -> Tensor:
    inputs = tiny.tokenizer()(TEXTS, return_tensors="pt", padding=True)
    with torch.no_grad():
        return model.eval()(**inputs, task=task).logits[task]


def shared_with(model: MultiTaskModel, task: str) -> list[str]:
    return model.heads.tasks_of(task)


@pytest.mark.parametrize("head", [None, "mlp", "vip", "vmtl", "hierarchical", "mt_vib", "stl_cnn"])
@pytest.mark.parametrize("drop", [[], ["b"]])
def test_a_kept_share_gives_the_same_outputs(head: str | None, drop: list[str], tmp_path: Path) -> None:
    before = save(tmp_path / "a", head=head)
    joint = MultiTaskModel.from_backbone(
        tmp_path / "a", {"new": Regression()}, head, keep_tasks=True, drop_tasks=drop
    )
    joint.save_pretrained(tmp_path / "b")
    loaded = MultiTaskModel.from_pretrained(tmp_path / "b")
    kept = [name for name in before.tasks if name not in drop]
    assert shared_with(loaded, "a") == [name for name in ("a", "b") if name in kept]
    for name in kept:
        assert torch.equal(logits(joint, name), logits(before, name))
        assert torch.equal(logits(loaded, name), logits(before, name))


@pytest.mark.parametrize("head", ["hierarchical", "vip"])
def test_layers_of_a_share_whose_first_task_is_dropped_are_kept(head: str, tmp_path: Path) -> None:
    before = save(tmp_path, head=head)
    joint = MultiTaskModel.from_backbone(tmp_path, {"new": Regression()}, keep_tasks=True, drop_tasks=["a"])
    for name in ("b", "score"):
        assert torch.equal(logits(joint, name), logits(before, name))


def test_peers_may_not_change_places_by_a_drop(tmp_path: Path) -> None:
    save(tmp_path, {"a": mood(), "m": Regression(standardize=False), "z": mood()}, head="vmtl")
    with pytest.raises(ModelError, match="in the order of the names of their first tasks, and without these"):
        MultiTaskModel.from_backbone(tmp_path, {"new": Regression()}, keep_tasks=True, drop_tasks=["a"])
    with pytest.raises(ModelError, match="leaves out a, z, and the 'vmtl' heads of a, z, m"):
        MultiTaskModel.from_backbone(tmp_path, {"new": Regression()}, keep_tasks=True, drop_tasks=["a", "z"])


def test_shares_of_one_name_in_two_runs_stay_apart(tmp_path: Path) -> None:
    tiny.model().encoder.save_pretrained(tmp_path / "bert")
    tiny.tokenizer().save_pretrained(tmp_path / "bert")
    before = []
    for number, names in enumerate([("a", "b"), ("c", "d")]):
        torch.manual_seed(number)
        model = MultiTaskModel.from_backbone(tmp_path / "bert", {name: mood() for name in names}, freeze="encoder")
        folder = tmp_path / str(number)
        model.save_pretrained(folder)
        tiny.tokenizer().save_pretrained(folder)
        seal(folder)
        before.append(model)
    joined = join_runs([tmp_path / "0", tmp_path / "1"], tmp_path / "joined", rename={"b": "e"})
    assert [shared_with(joined, name) for name in ("a", "c")] == [["a", "e"], ["c", "d"]]
    assert not torch.equal(logits(joined, "a"), logits(joined, "c"))
    for model, old, new in [(before[0], "b", "e"), (before[1], "c", "c"), (before[1], "d", "d")]:
        assert torch.equal(logits(joined, new), logits(model, old))


def test_a_task_goes_on_from_the_share_that_it_names(tmp_path: Path) -> None:
    before = save(tmp_path)
    tasks = {"a": mood(), "new": mood(head_learning_rate=0.25)}
    joint = MultiTaskModel.from_backbone(tmp_path, tasks, keep_tasks=True)
    assert shared_with(joint, "new") == ["a", "b", "new"]
    assert torch.equal(logits(joint, "new"), logits(before, "a"))
    assert joint.tasks["b"].head_learning_rate is None


@pytest.mark.parametrize(
    ("task", "found"),
    [
        (mood(head={"share": "y"}), "is another than that of the task that is kept, which has {share: x}"),
        (mood(head={"share": "x", "type": "mlp"}), "is another than that of the task that is kept"),
        (mood(head={"share": "x", "type": "mpl"}), "mlp"),
        (mood(head={"share": 3}), "is another than that of the task that is kept"),
        (mood(head="mpl"), "mlp"),
    ],
)
def test_another_head_is_refused(task: Task, found: str, tmp_path: Path) -> None:
    save(tmp_path)
    with pytest.raises(ModelError, match="tasks.a.head") as error:
        MultiTaskModel.from_backbone(tmp_path, {"a": task}, keep_tasks=True)
    assert found in str(error.value)


def test_a_new_task_with_other_labels_cannot_name_a_kept_share(tmp_path: Path) -> None:
    save(tmp_path)
    other = SequenceClassification(labels=["u", "v"], head=SHARED)
    with pytest.raises(ModelError, match="'new' shares 'x' with 'a', and their labels differ"):
        MultiTaskModel.from_backbone(tmp_path, {"new": other}, keep_tasks=True)


def test_a_share_that_is_not_there_is_refused(tmp_path: Path) -> None:
    model = save(tmp_path / "a")
    weights = {name: value for name, value in model.state_dict().items() if not name.startswith("heads.head_x.")}
    model.save_pretrained(tmp_path / "b", state_dict=weights)
    with pytest.raises(ModelError, match="head_x"):
        MultiTaskModel.from_backbone(tmp_path / "b", {"new": Regression()}, keep_tasks=True)


def test_a_share_rests_with_each_of_its_tasks(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path / "a", head="hierarchical")
    new = {"new": mood(), "more": mood(head_learning_rate=0.1)}
    model = MultiTaskModel.from_backbone(tmp_path / "a", new, keep_tasks=True)
    before = {name: value.detach().clone() for name, value in model.heads.state_dict().items()}
    assert rest_heads(model, ["new", "score", "a"]) == ["b"]
    assert resting_layers(model, ["new", "score", "a"]) == {"new": ["b"], "score": ["b"], "a": ["b"]}
    rows = {"new": tiny.rows("mood", 24)}
    trainers.make(tmp_path, model=model, train=rows, evaluation=rows, weight_decay=0.5, max_steps=2).train()
    assert "new: its head, which is that of a, b too, is not trained, as a, b was kept" in caplog.text
    with pytest.raises(ModelError, match="tasks.more.head_learning_rate: the head is that of a, b too"):
        trainers.make(tmp_path, model=model, train={"more": rows["new"]}, evaluation=rows)
    after = model.heads.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items() if "statistics" not in name)
