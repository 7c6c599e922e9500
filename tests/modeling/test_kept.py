"""Tasks that are taken over with their heads: the same outputs to the bit, and all that was known of them."""

from pathlib import Path
from typing import Any

import pytest
import torch

from hf_mtl import MultiLabelClassification, MultiTaskModel, Regression, SequenceClassification
from hf_mtl.errors import ModelError
from hf_mtl.modeling.kept import Keep
from hf_mtl.tasks import Task
from tests import tiny

NEW: dict[str, Task] = {"new": SequenceClassification(labels=["u", "v"])}
TEXTS = ["w1 w2 w3", "w59 w7"]


def save(folder: Path, **options: Any) -> MultiTaskModel:
    """A model whose tasks have statistics, a temperature and thresholds."""
    tags = MultiLabelClassification(labels=["p", "q"], thresholds="tuned", positive_weight=2.0)
    model = tiny.model(tasks={**tiny.TASKS, "tags": tags}, **options)
    model.set_statistics("score", mean=[1.0, 2.0], std=[2.0, 3.0])
    model.set_statistics("tags", negative=[0.5, 0.5], positive=[1.0, 1.5])
    model.set_calibration_temperature("mood", 1.7)
    model.set_decision("tags", [0.2, 0.7])
    model.save_pretrained(folder)
    return model.eval()


def logits(model: MultiTaskModel, task: str) -> torch.Tensor:
    inputs = tiny.tokenizer()(TEXTS, return_tensors="pt", padding=True)
    with torch.no_grad():
        return model.eval()(**inputs, task=task).logits[task]


@pytest.mark.parametrize("head", [None, "mlp", "vip", "vmtl", "hierarchical", "mt_vib", "stl_cnn"])
def test_kept_tasks_give_the_same_outputs_beside_new_ones(head: str | None, tmp_path: Path) -> None:
    before = save(tmp_path / "a", head=head)
    joint = MultiTaskModel.from_backbone(tmp_path / "a", NEW, head=head, keep_tasks=True)
    joint.save_pretrained(tmp_path / "b")
    loaded = MultiTaskModel.from_pretrained(tmp_path / "b")
    assert list(joint.tasks) == ["topic", "mood", "score", "tags", "new"]
    for name in before.tasks:
        for after in (joint, loaded):
            assert torch.equal(logits(after, name), logits(before, name))
    assert torch.equal(logits(loaded, "new"), logits(joint, "new"))


def test_what_is_known_of_kept_tasks_comes_with_them(tmp_path: Path) -> None:
    save(tmp_path, dropout=0.3)
    joint = MultiTaskModel.from_backbone(tmp_path, NEW, head="mlp", keep_tasks=True, drop_tasks=["topic"])
    assert list(joint.tasks) == ["mood", "score", "tags", "new"]
    assert joint.config.calibration_temperatures == {"mood": 1.7}
    assert joint.config.decisions == {"tags": [0.2, 0.7]}
    assert joint.tasks["tags"].thresholds == [0.2, 0.7]  # type: ignore[attr-defined]
    assert joint.heads.of("score").statistics.for_metrics() == {"mean": [1.0, 2.0], "std": [2.0, 3.0]}
    assert joint.heads.of("tags").statistics.loss_weights.tolist() == [[0.5, 0.5], [1.0, 1.5]]  # type: ignore[union-attr]
    heads = {name: joint.heads.of(name).head.name for name in joint.tasks}
    assert heads == {"mood": "native", "score": "native", "tags": "native", "new": "mlp"}
    assert joint.config.tasks["mood"]["head"]["dropout"] == 0.3  # type: ignore[index]


def test_a_kept_model_is_kept_again(tmp_path: Path) -> None:
    before = save(tmp_path / "a", head="hierarchical")
    first = MultiTaskModel.from_backbone(tmp_path / "a", NEW, head="hierarchical", keep_tasks=True)
    first.save_pretrained(tmp_path / "b")
    more: dict[str, Task] = {"more": Regression()}
    second = MultiTaskModel.from_backbone(
        tmp_path / "b", more, head="hierarchical", keep_tasks=True, drop_tasks=["score"]
    )
    assert list(second.heads.sharing.values()) == [["topic", "mood", "tags"], ["new"], ["more"]]
    assert torch.equal(logits(second, "topic"), logits(before, "topic"))
    assert torch.equal(logits(second, "new"), logits(first, "new"))


def test_adapters_of_the_backbone_are_merged_under_the_kept_heads(tmp_path: Path) -> None:
    model = tiny.model(peft={"type": "lora", "r": 2})
    for name, parameter in model.encoder.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    model.save_pretrained(tmp_path)
    joint = MultiTaskModel.from_backbone(tmp_path, NEW, keep_tasks=True, peft="lora")
    assert torch.allclose(logits(joint, "topic"), logits(model, "topic"), atol=1e-5)
    weights = zip(model.heads.of("topic").parameters(), joint.heads.of("topic").parameters(), strict=True)
    assert all(torch.equal(left, right) for left, right in weights)


def test_a_task_that_is_named_again_goes_on_from_its_head(tmp_path: Path) -> None:
    before = save(tmp_path)
    again = {"mood": SequenceClassification(text="words", labels=["good", "bad"], class_weights=[1.0, 3.0])}
    joint = MultiTaskModel.from_backbone(tmp_path, {**again, **NEW}, head="mlp", keep_tasks=True)
    assert torch.equal(logits(joint, "mood"), logits(before, "mood"))
    assert joint.tasks["mood"].text == "words"
    assert list(joint.tasks) == ["topic", "mood", "score", "tags", "new"]
    assert not joint.has_statistics("mood")  # weights that the run did not have
    assert joint.has_statistics("score")


@pytest.mark.parametrize(
    ("options", "tasks", "message"),
    [
        ({"drop_tasks": ["topc"]}, NEW, r"model\.drop_tasks: the backbone has no task 'topc'.*Did you mean 'topic'"),
        ({"drop_tasks": ["topic", "mood", "score", "tags"]}, NEW, "names all tasks of the backbone"),
        ({"drop_tasks": "topic"}, NEW, "model.drop_tasks: found 'topic'. Allowed: a list"),
        ({"keep_tasks": False, "drop_tasks": ["topic"]}, NEW, "no task is kept that could be dropped"),
        ({"pooling": "mean"}, NEW, r"model\.pooling: is 'mean', and the heads that are kept read 'cls'"),
        (
            {},
            {"mood": SequenceClassification(labels=["bad", "good"])},
            r"tasks\.mood\.labels: are bad, good, and",
        ),
        (
            {},
            {"mood": SequenceClassification(labels=["good", "bad", "c"])},
            r"are good, bad, c, and those .*good, bad",
        ),
        ({}, {"mood": Regression()}, r"tasks\.mood\.type: is regression, and the task that is kept is sequence"),
        ({}, {"score": Regression(label=["y", "x"])}, r"tasks\.score\.label: are y, x, and those .* x, y"),
        ({}, {"score": Regression(label=["x", "y"], standardize=False)}, "to other units than those of the head"),
        ({}, {"mood": SequenceClassification(labels=["good", "bad"], head="mlp")}, r"tasks\.mood\.head: is another"),
        ({"keep_task": True}, NEW, "keep_task: is no argument of from_backbone. Did you mean 'keep_tasks'"),
    ],
)
def test_what_does_not_go_with_the_kept_heads_is_refused(
    options: dict[str, Any], tasks: dict[str, Task], message: str, tmp_path: Path
) -> None:
    save(tmp_path)
    with pytest.raises(ModelError, match=message):
        MultiTaskModel.from_backbone(tmp_path, tasks, **{"keep_tasks": True, **options})


def test_a_backbone_without_heads_has_none_to_keep(tmp_path: Path) -> None:
    tiny.model().encoder.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"model\.keep_tasks: the backbone, 'bert', has no heads to keep"):
        MultiTaskModel.from_backbone(tmp_path, NEW, keep_tasks=True)
    with pytest.raises(ModelError, match="'hf_mtl', has no heads to keep"):
        MultiTaskModel.from_backbone(tiny.model().config, NEW, keep_tasks=True)


def test_heads_with_parameters_for_each_other_are_kept_together(tmp_path: Path) -> None:
    save(tmp_path, head="vmtl")
    with pytest.raises(ModelError, match="leaves out topic, and the 'vmtl' heads of topic, mood, score, tags have"):
        MultiTaskModel.from_backbone(tmp_path, NEW, keep_tasks=True, drop_tasks=["topic"])


def test_a_head_that_is_not_there_whole_is_refused(tmp_path: Path) -> None:
    model = save(tmp_path)
    taken = Keep().of(model.config)
    heads, weights = tiny.model(tasks=model.tasks).heads, dict(model.heads.state_dict())
    taken.fill(heads, model.config, weights)
    assert all(torch.equal(value, weights[name]) for name, value in heads.state_dict().items())
    del weights["task_mood.head.model.classifier.bias"]
    with pytest.raises(ModelError, match=r"do not fit the tasks, see heads\.task_mood\.head\.model"):
        taken.fill(heads, model.config, weights)


def test_a_dropped_name_is_free_for_a_new_task(tmp_path: Path) -> None:
    before = save(tmp_path)
    tasks: dict[str, Task] = {"mood": SequenceClassification(labels=3)}
    joint = MultiTaskModel.from_backbone(tmp_path, tasks, keep_tasks=True, drop_tasks=["mood"])
    assert joint.tasks["mood"].num_outputs == 3
    assert joint.config.calibration_temperatures is None
    assert joint.config.origins == {"topic": 1, "score": 1, "tags": 1}
    assert torch.equal(logits(joint, "topic"), logits(before, "topic"))


def test_another_dropout_may_not_join_heads_that_share_layers(tmp_path: Path) -> None:
    tasks: dict[str, Task] = {
        "a": SequenceClassification(labels=2, head={"type": "hierarchical", "dropout": 0.3}),
        "b": SequenceClassification(labels=2, head="hierarchical"),
    }
    save_to = tiny.model(tasks=tasks, dropout=None)  # type: ignore[arg-type]
    save_to.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="heads of a, b would share what they do not share in the backbone"):
        MultiTaskModel.from_backbone(tmp_path, NEW, keep_tasks=True, dropout=0.3)
