"""Heads of several runs on one encoder: each task predicts as before, to the bit, and nothing else joins."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import set_seed

from hf_mtl import MultiLabelClassification, MultiTaskModel, Regression, SequenceClassification, join_runs
from hf_mtl.errors import UserError
from hf_mtl.inference.manifest import MODEL_CONFIG, seal, verify
from hf_mtl.inference.runs import load_model
from hf_mtl.tasks import Task
from tests import tiny

TAGS = MultiLabelClassification(labels=["p", "q"], thresholds="tuned")
TEXTS = ["w1 w2 w3", "w59 w7"]


def backbone(folder: Path, **changes: Any) -> Path:
    if not folder.exists():
        set_seed(5)
        tiny.model(config=changes).encoder.save_pretrained(folder)
        tiny.tokenizer().save_pretrained(folder)
    return folder


def run(folder: Path, name: str, tasks: dict[str, Task], seed: int = 0, **options: Any) -> MultiTaskModel:
    """A model of its own heads on one frozen encoder, as a run leaves it."""
    set_seed(seed)
    model = MultiTaskModel.from_backbone(backbone(folder / "bert"), tasks, **{"freeze": "encoder", **options})
    for task in tasks.values():
        if isinstance(task, Regression):
            model.set_statistics(next(iter(tasks)), mean=[1.0], std=[2.0])
    return save(folder / name, model)


def save(folder: Path, model: MultiTaskModel) -> MultiTaskModel:
    model.save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    seal(folder)
    return model.eval()


def logits(model: MultiTaskModel, task: str) -> torch.Tensor:
    inputs = tiny.tokenizer()(TEXTS, return_tensors="pt", padding=True)
    with torch.no_grad():
        return model.eval()(**inputs, task=task).logits[task]


def class_task(count: int = 2) -> Task:
    return SequenceClassification(labels=[f"c{number}" for number in range(count)])


@pytest.mark.parametrize("head", [None, "linear", "vip", "vmtl", "hierarchical", "stl_cnn"])
def test_each_task_predicts_as_in_its_own_run(head: str | None, tmp_path: Path) -> None:
    pooling = None if head is None else "mean"
    one = run(tmp_path, "one", {"a": class_task(), "b": class_task(3)}, head=head, pooling=pooling)
    two = run(tmp_path, "two", {"c": Regression()}, seed=1, head=head, pooling=pooling)
    three = run(tmp_path, "three", {"d": TAGS, "e": class_task(2)}, seed=2, head=head, pooling=pooling)
    three.set_calibration_temperature("e", 1.5)
    three.set_decision("d", [0.1, 0.8])
    save(tmp_path / "three", three)
    join_runs([tmp_path / name for name in ("one", "two", "three")], tmp_path / "joined")
    joined = load_model(tmp_path / "joined")
    assert list(joined.tasks) == ["a", "b", "c", "d", "e"]
    for model in (one, two, three):
        for name in model.tasks:
            assert torch.equal(logits(joined, name), logits(model, name))
    assert joined.config.calibration_temperatures == {"e": 1.5}
    assert joined.config.decisions == {"d": [0.1, 0.8]}
    assert joined.heads.of("c").statistics.for_metrics() == {"mean": [1.0], "std": [2.0]}
    assert joined.config.freeze == "encoder"


def test_a_joined_model_is_whole_and_kept_from_like_a_run(tmp_path: Path) -> None:
    one = run(tmp_path, "one", {"a": class_task()})
    run(tmp_path, "two", {"b": class_task(3)}, seed=1)
    (tmp_path / "new").mkdir()  # an empty folder is no reason to refuse
    join_runs([tmp_path / "one", tmp_path / "two"], tmp_path / "new")
    verify(tmp_path / "new", needs=MODEL_CONFIG)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bert", "new", "one", "two"]
    more = MultiTaskModel.from_backbone(tmp_path / "new", {"c": class_task()}, keep_tasks=True, drop_tasks=["b"])
    assert torch.equal(logits(more, "a"), logits(one, "a"))


def test_what_a_call_left_in_the_tokenizer_of_a_run_is_not_joined(tmp_path: Path) -> None:
    for number, name in enumerate(("one", "two")):
        run(tmp_path, name, {name: class_task()}, seed=number)
        called = tiny.tokenizer()
        called("w1", "w2 " * 30, truncation="only_second", max_length=8, padding="max_length")
        called.save_pretrained(tmp_path / name)
        seal(tmp_path / name)
    join_runs([tmp_path / "one", tmp_path / "two"], tmp_path / "joined")
    tiny.tokenizer().save_pretrained(tmp_path / "fresh")
    saved = (tmp_path / "joined" / "tokenizer.json").read_bytes()
    assert saved == (tmp_path / "fresh" / "tokenizer.json").read_bytes()
    options = json.loads((tmp_path / "joined" / "tokenizer_config.json").read_text())
    assert not {"max_length", "stride", "truncation_strategy", "is_local", "local_files_only"} & set(options)


def test_heads_of_different_dropout_and_poolers_join(tmp_path: Path) -> None:
    one = run(tmp_path, "one", {"a": class_task()}, head="linear", pooling="cls", dropout=0.4)
    two = run(tmp_path, "two", {"b": class_task()}, head="native", seed=1)
    assert one.encoder.pooler is None
    joined = join_runs([tmp_path / "one", tmp_path / "two"], tmp_path / "joined")
    for model in (one, two):
        for name in model.tasks:
            assert torch.equal(logits(joined, name), logits(model, name))
    heads = {name: joined.config.tasks[name]["head"] for name in joined.tasks}  # type: ignore[index]
    assert heads == {"a": {"type": "linear", "dropout": 0.4}, "b": {"type": "native", "dropout": 0.0}}


def test_equal_adapters_join_and_others_do_not(tmp_path: Path) -> None:
    one = run(tmp_path, "one", {"a": class_task()}, freeze=None, peft={"type": "lora", "r": 2})
    two = run(tmp_path, "two", {"b": class_task()}, freeze=None, peft={"type": "lora", "r": 2}, seed=1)
    with pytest.raises(UserError, match=r"two: encoder\..*lora_A.* is not that of .*one, to the bit"):
        join_runs([tmp_path / "one", tmp_path / "two"], tmp_path / "joined")
    two.encoder.load_state_dict(one.encoder.state_dict())
    save(tmp_path / "two", two)
    joined = join_runs([tmp_path / "one", tmp_path / "two"], tmp_path / "joined")
    assert torch.equal(logits(joined, "b"), logits(two, "b"))
    run(tmp_path, "three", {"c": class_task()})
    with pytest.raises(UserError, match="three: peft is None, and {'init_lora"):
        join_runs([tmp_path / "one", tmp_path / "three"], tmp_path / "other")


def test_tasks_with_adapters_of_their_own_alone_join(tmp_path: Path) -> None:
    peft = {"per_task": {"type": "lora", "r": 2}}
    models = []
    for seed, (name, task) in enumerate({"one": "a", "two": "a"}.items()):
        model = run(tmp_path, name, {task: class_task()}, freeze=None, peft=peft, seed=seed)
        torch.manual_seed(seed)
        for parameter in model.private_adapters.parameters():  # type: ignore[union-attr]
            torch.nn.init.normal_(parameter, std=0.3)
        save(tmp_path / name, model)
        models.append(model)
    joined = join_runs([tmp_path / "one", tmp_path / "two"], tmp_path / "joined", rename={"2:a": "b"})
    for name, model in zip("ab", models, strict=True):
        torch.testing.assert_close(logits(joined, name), logits(model, "a"), rtol=1e-5, atol=1e-6)
    assert not torch.allclose(logits(joined, "a"), logits(joined, "b"))


def test_the_lowest_weight_that_differs_is_named(tmp_path: Path) -> None:
    run(tmp_path, "one", {"a": class_task()})
    two = run(tmp_path, "two", {"b": class_task()})
    for layer in two.encoder.encoder.layer:
        layer.output.dense.bias.data[0].neg_()
        layer.output.dense.bias.data[0] += 0.5
    save(tmp_path / "two", two)
    with pytest.raises(UserError) as caught:
        join_runs([tmp_path / "one", tmp_path / "two"], tmp_path / "joined")
    (mistake,) = caught.value.mistakes
    assert "two: encoder.encoder.layer.0.output.dense.bias is not that of" in str(mistake)
    assert "model.freeze: encoder" in mistake.remedy
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bert", "one", "two"]


def test_a_bit_of_a_zero_is_a_difference(tmp_path: Path) -> None:
    run(tmp_path, "one", {"a": class_task()})
    two = run(tmp_path, "two", {"b": class_task()})
    bias = two.encoder.encoder.layer[1].output.dense.bias
    assert bias[0] == 0
    bias.data[0] = -0.0
    save(tmp_path / "two", two)
    with pytest.raises(UserError, match=r"layer\.1\.output\.dense\.bias is not that of .* to the bit"):
        join_runs([tmp_path / "one", tmp_path / "two"], tmp_path / "joined")


def test_everything_else_that_differs_is_said_at_once(tmp_path: Path) -> None:
    run(tmp_path, "one", {"a": class_task()}, head="linear", pooling="mean", max_length=20)
    other = tiny.model(tasks={"b": class_task()}, config={"hidden_act": "relu"}, head="linear", pooling="cls")
    save(tmp_path / "two", other)
    tokenizer = tiny.tokenizer()
    tokenizer.add_tokens(["another"])
    tokenizer.model_max_length = 16
    tokenizer.save_pretrained(tmp_path / "two")
    seal(tmp_path / "two")
    with pytest.raises(UserError) as caught:
        join_runs([tmp_path / "one", tmp_path / "two"], tmp_path / "joined")
    text = str(caught.value)
    for words in (
        "two: pooling is 'cls', and 'mean' in",
        "two: max_length is None, and 20 in",
        "two: hidden_act of the encoder is 'relu', and 'gelu' in",
        "two: its tokenizer has another vocabulary than that of",
        "two: its tokenizer has another model_max_length than",
    ):
        assert words in text


# ---- Names ----


def test_tasks_of_one_name_are_renamed(tmp_path: Path) -> None:
    one = run(tmp_path, "one", {"a": class_task(), "x.y": class_task()})
    two = run(tmp_path, "two", {"a": class_task(3)}, seed=1)
    folders = [tmp_path / "one", tmp_path / "two"]
    with pytest.raises(UserError, match=r"'a' would be the name of a task of each of .*--rename 2:a=NAME"):
        join_runs(folders, tmp_path / "joined")
    joined = join_runs(folders, tmp_path / "joined", {"2:a": "other", "x.y": "z"})
    assert list(joined.tasks) == ["a", "z", "other"]
    assert torch.equal(logits(joined, "a"), logits(one, "a"))
    assert torch.equal(logits(joined, "z"), logits(one, "x.y"))
    assert torch.equal(logits(joined, "other"), logits(two, "a"))


@pytest.mark.parametrize(
    ("rename", "message"),
    [
        ({"a": "b"}, r"the runs 1 \(.*one\), 2 \(.*two\) have a task 'a'. Put the number of one before it: 2:a=b"),
        ({"bb": "c", "2:a": "d"}, r"no run has a task 'bb'\. Known: a, x"),
        ({"3:a": "c", "2:a": "d"}, "no run has a task '3:a'"),
        ({"2:a": "x"}, "'x' would be the name of a task of each of"),
        ({"2:a": "macro"}, "the task name 'macro' is taken"),
        ({"2:a": "b c"}, r"the task name 'b c'\. Allowed: letters"),
    ],
)
def test_names_that_do_not_go_are_refused(rename: dict[str, str], message: str, tmp_path: Path) -> None:
    run(tmp_path, "one", {"a": class_task(), "x": class_task()})
    run(tmp_path, "two", {"a": class_task()})
    with pytest.raises(UserError, match=message):
        join_runs([tmp_path / "one", tmp_path / "two"], tmp_path / "joined", rename)
    assert not (tmp_path / "joined").exists()


def test_heads_that_know_each_other_by_name_keep_their_order(tmp_path: Path) -> None:
    one = run(tmp_path, "one", {"a": class_task(), "b": class_task()}, head="vmtl")
    run(tmp_path, "two", {"c": class_task()}, head="vmtl")
    folders = [tmp_path / "one", tmp_path / "two"]
    with pytest.raises(UserError, match="in the order of the names, which z, b would change"):
        join_runs(folders, tmp_path / "joined", {"a": "z"})
    joined = join_runs(folders, tmp_path / "joined", {"a": "aa"})
    assert torch.equal(logits(joined, "aa"), logits(one, "a"))


# ---- Places ----


def test_places_and_models_that_are_none_are_refused(tmp_path: Path) -> None:
    run(tmp_path, "one", {"a": class_task()})
    run(tmp_path, "two", {"b": class_task()})
    one, two = tmp_path / "one", tmp_path / "two"
    with pytest.raises(UserError, match="output_dir: .*two is there already, and not empty"):
        join_runs([one, two], two)
    with pytest.raises(UserError, match=r"config\.json is a file"):
        join_runs([one, two], two / "config.json")
    with pytest.raises(UserError, match="found 1 run. Give two or more"):
        join_runs([one], tmp_path / "new")
    with pytest.raises(UserError, match="one is given twice"):
        join_runs([one, two, one], tmp_path / "new")
    with pytest.raises(UserError, match="that of a 'bert' model[\\s\\S]*nothing/at/all: no such file or folder"):
        join_runs([tmp_path / "bert", "nothing/at/all"], tmp_path / "new")
    (two / "model.safetensors").write_bytes(b"other")
    with pytest.raises(UserError, match=r"two/model\.safetensors: damaged"):
        join_runs([one, two], tmp_path / "new")
    assert not (tmp_path / "new").exists()
