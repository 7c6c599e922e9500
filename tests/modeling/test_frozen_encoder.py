"""Files that hold the heads alone: small, the same model to the bit, and never on another encoder."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, BertConfig, set_seed

from hf_mtl import MultiTaskModel, SequenceClassification, join_runs
from hf_mtl.errors import ModelError
from hf_mtl.modeling import allowance, frozen_encoder
from hf_mtl.modeling.frozen_encoder import EncoderSource, digest
from hf_mtl.tasks import Task
from tests import tiny
from tests.hub.world import save_backbone
from tests.task_types.sample import Sample, samples

SAMPLES = samples()
HEADS = (None, "linear", "mlp", "vip", "mt_vib", "vmtl", "hierarchical", "stl_cnn")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backbone") / "bert"
    save_backbone(folder)
    return folder


def make(bert: Path, tasks: dict[str, Task] = tiny.TASKS, **options: Any) -> MultiTaskModel:
    set_seed(1)
    return MultiTaskModel.from_backbone(
        bert, tasks, **{"freeze": "encoder", "save_heads_only": True, **options}
    ).eval()


def same(one: MultiTaskModel, other: MultiTaskModel) -> bool:
    """Whether two models have the same weights, to the bit, under the same names."""
    here, there = one.state_dict(), other.state_dict()
    return list(here) == list(there) and all(torch.equal(here[name], there[name]) for name in here)


def saved(model: MultiTaskModel, folder: Path) -> Path:
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("head", HEADS)
def test_every_head_comes_back_to_the_bit_from_a_file_of_heads(bert: Path, head: str | None, tmp_path: Path) -> None:
    model = make(bert, head=head)
    model.set_statistics("score", mean=[1.0, 2.0], std=[3.0, 4.0])
    whole = model.state_dict()
    path = saved(model, tmp_path / "model")
    names = set(load_file(path / "model.safetensors"))
    assert names
    assert not [name for name in names if name.startswith("encoder.")]
    of_heads = sum(value.nbytes for name, value in whole.items() if not name.startswith("encoder."))
    assert (path / "model.safetensors").stat().st_size < of_heads + 6000  # names and shapes
    back = MultiTaskModel.from_pretrained(path).eval()
    assert same(model, back)
    assert not any(parameter.requires_grad for parameter in back.encoder.parameters())
    batch = tiny.tokenizer()(["w1 w2", "w3"], padding=True, return_tensors="pt")
    with torch.no_grad():
        here, there = model(**batch).logits, back(**batch).logits
    assert all(torch.equal(here[task], there[task]) for task in tiny.TASKS)
    again = saved(back, tmp_path / "again")
    assert (again / "model.safetensors").read_bytes() == (path / "model.safetensors").read_bytes()


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_every_task_type_comes_back_to_the_bit(bert: Path, sample: Sample, tmp_path: Path) -> None:
    model = make(bert, {"t": sample.task})
    assert same(model, MultiTaskModel.from_pretrained(saved(model, tmp_path)))


@pytest.mark.parametrize("dtype", ["bfloat16", "auto"])
def test_precisions_come_back(bert: Path, dtype: str, tmp_path: Path) -> None:
    model = make(bert, dtype=dtype)
    path = saved(model, tmp_path)
    assert same(model, MultiTaskModel.from_pretrained(path))
    wide = MultiTaskModel.from_pretrained(path, dtype="float32")
    assert wide.encoder.dtype == torch.float32
    narrow = {name: value.float() for name, value in model.encoder.state_dict().items()}
    assert all(torch.equal(value, narrow[name]) for name, value in wide.encoder.state_dict().items())


def test_a_backbone_whose_weights_changed_or_are_gone_is_refused(tmp_path: Path) -> None:
    save_backbone(tmp_path / "bert")
    path = saved(make(tmp_path / "bert"), tmp_path / "model")
    file = tmp_path / "bert" / "model.safetensors"
    weights, kept = load_file(file), file.read_bytes()
    weights["encoder.layer.1.output.dense.bias"][3] += 1e-6
    save_file(weights, file, metadata={"format": "pt"})
    found = f"the weights of the encoder in {tmp_path / 'bert'} are not those that the heads were trained on"
    with pytest.raises(ModelError, match=found):
        MultiTaskModel.from_pretrained(path)
    (tmp_path / "bert").rename(tmp_path / "moved")
    with pytest.raises(ModelError, match=r"the files hold the heads alone, whose encoder is in .*bert: cannot load"):
        MultiTaskModel.from_pretrained(path)
    (tmp_path / "moved").rename(tmp_path / "bert")
    file.write_bytes(kept)
    MultiTaskModel.from_pretrained(path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"freeze": None}, "is true, and the encoder is trained. Set model.freeze: encoder, or leave it out"),
        ({"freeze": 1}, "is true, and the encoder is trained but for freeze: 1"),
        ({"freeze": "embeddings"}, "is true, and the encoder is trained but for freeze: embeddings"),
        ({"freeze": None, "peft": "lora"}, "is true, and the encoder is trained"),
    ],
)
def test_an_encoder_that_is_trained_is_refused(bert: Path, changes: dict[str, Any], said: str) -> None:
    if changes.get("peft"):
        pytest.importorskip("peft")
    with pytest.raises(ModelError, match=f"model.save_heads_only: {said}"):
        make(bert, **changes)


def test_random_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is true, and the encoder begins with random weights"):
        tiny.model(freeze="encoder", save_heads_only=True)
    set_seed(0)
    AutoModel.from_config(BertConfig(**tiny.BERT), add_pooling_layer=False).save_pretrained(tmp_path / "no-pooler")
    with pytest.raises(ModelError, match="does not come back from .*no-pooler with the same weights: some begin as"):
        make(tmp_path / "no-pooler")  # whose native heads read the pooler
    make(tmp_path / "no-pooler", head="linear")


def test_an_encoder_that_was_changed_afterwards_is_saved_whole(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(frozen_encoder.logger, "warning", said.append)
    model = make(bert)
    with torch.no_grad():
        model.encoder.get_input_embeddings().weight[7] += 1
    path = saved(model, tmp_path / "model")
    assert said == [f"The encoder is not that of {bert} any more: all of the model is saved."]
    assert json.loads((path / "config.json").read_text()).get("encoder_source") is None
    assert same(model, MultiTaskModel.from_pretrained(path))


def test_the_whole_model_can_be_saved_too(bert: Path, tmp_path: Path) -> None:
    model = MultiTaskModel.from_pretrained(saved(make(bert), tmp_path / "heads"))
    with pytest.raises(ModelError, match="the backbone is a folder of this machine, which others have not"):
        model.push_to_hub("user/model")
    model.config.encoder_source = None
    path = saved(model, tmp_path / "whole")
    assert "encoder.pooler.dense.bias" in load_file(path / "model.safetensors")
    assert same(model, MultiTaskModel.from_pretrained(path))


def test_heads_are_joined_and_kept(bert: Path, tmp_path: Path) -> None:
    tasks = {name: SequenceClassification(labels=["a", "b"]) for name in ("one", "two", "three")}
    for name, options in {"one": {}, "two": {}, "three": {"save_heads_only": False}}.items():
        tiny.tokenizer().save_pretrained(saved(make(bert, {name: tasks[name]}, **options), tmp_path / name))
    both = join_runs([tmp_path / "one", tmp_path / "two"], tmp_path / "both")
    source = EncoderSource.of(both.config)
    assert source is not None
    assert source.sha256 == digest(both.encoder.state_dict())
    assert (tmp_path / "both" / "model.safetensors").stat().st_size < 2000
    assert same(both, MultiTaskModel.from_pretrained(tmp_path / "both"))
    all_three = join_runs([tmp_path / "both", tmp_path / "three"], tmp_path / "all")
    assert all_three.config.encoder_source is None
    assert same(all_three, MultiTaskModel.from_pretrained(tmp_path / "all"))

    kept = make(tmp_path / "both", {"new": SequenceClassification(labels=["x", "y"])}, keep_tasks=True)
    assert list(kept.tasks) == ["one", "two", "new"]
    back = MultiTaskModel.from_pretrained(
        saved(kept, tmp_path / "kept")
    )  # of a backbone that holds heads alone itself
    assert same(kept, back)
    heads = both.heads.of("two").state_dict()
    assert all(torch.equal(value, heads[name]) for name, value in back.heads.of("two").state_dict().items())


def test_an_encoder_may_be_many_times_as_large_as_its_heads(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make(bert, {"mood": tiny.TASKS["mood"]}, head="linear")
    path = saved(model, tmp_path)
    monkeypatch.setattr(allowance, "_SLACK", 0)
    assert same(model, MultiTaskModel.from_pretrained(path))


def test_heads_whose_encoder_would_be_their_own_are_refused(bert: Path, tmp_path: Path) -> None:
    path = saved(make(bert), tmp_path / "model")
    config = json.loads((path / "config.json").read_text())
    config["encoder_source"]["path"] = str(path)
    (path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="and the encoder of .*model would be its own"):
        MultiTaskModel.from_pretrained(path)


@pytest.mark.parametrize(
    "source",
    [7, {"path": "a/b"}, {"path": "a/b", "revision": 1, "dtype": "float32", "sha256": ""}, {"path": None}],
)
def test_a_source_that_is_none_is_a_mistake_in_the_file(bert: Path, source: Any, tmp_path: Path) -> None:
    path = saved(make(bert), tmp_path)
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**config, "encoder_source": source}))
    with pytest.raises(ModelError, match=r"config\.json: encoder_source: is .*Allowed: path, revision, dtype and"):
        MultiTaskModel.from_pretrained(path)
