"""A config that no model can have is one message with the file and the key, through every door that reads one."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from transformers import AutoConfig, AutoModel

from hf_mtl.errors import ModelError, UserError
from hf_mtl.modeling import MultiTaskConfig, MultiTaskModel, allowance
from hf_mtl.modeling.allowance import Allowance, building
from hf_mtl.modeling.backbone import load_encoder_config
from tests import tiny

DEEP: Any = 1
for _ in range(50):
    DEEP = [DEEP]

# The place, what is written there, and the key in the message.
VALUES: dict[str, tuple[str, Any, str]] = {
    "tasks that are a list": ("tasks", [], "tasks: is a list"),
    "a task that is a number": ("tasks.topic", 3, r"tasks\.topic: is a number"),
    "an unknown task type": ("tasks.topic.type", "span", r"tasks\.topic\.type: unknown task type 'span'"),
    "no task type": ("tasks.topic.type", None, r"tasks\.topic\.type: unknown task type None"),
    "labels that are numbers": ("tasks.topic.labels", [1, 2], r"tasks\.topic\.labels"),
    "a billion labels": ("tasks.topic.labels", 10**12, r"tasks\.topic\.labels: is 1000000000000"),
    "an unknown field of a task": ("tasks.topic.colour", 1, r"tasks\.topic\.colour: unknown field 'colour'"),
    "an unknown head": ("head", "linaer", r"model\.head: unknown head 'linaer'"),
    "a head that is a number": ("head", 5, r"model\.head: found 5"),
    "a head's option": ("head", {"type": "mlp", "hidden": "wide"}, r"model\.head\.hidden: found 'wide'"),
    "a head of a billion": ("head", {"type": "mlp", "hidden": 10**9}, "asks for a model of more than"),
    "pooling": ("pooling", [], r"pooling: is \[\]"),
    "dropout": ("dropout", "abc", "dropout: is 'abc'"),
    "dropout that is no number": ("dropout", float("nan"), r"dropout: is no number"),
    "a negative length": ("max_length", -1, "max_length: is -1"),
    "calibration_temperatures": (
        "calibration_temperatures",
        {"topic": "hot"},
        "calibration_temperatures: is {'topic': 'hot'}",
    ),
    "task names": ("task_names", [[]], "task_names: is"),
    "precision": ("dtype", "float17", "dtype: is 'float17'"),
    "other weights": ("transformers_weights", "../x", "transformers_weights: names another file"),
    "code of the Hub": (
        "attn_implementation",
        "some/kernel",
        "attn_implementation: names the attention kernel",
    ),
    "attention of no name": ("attn_implementation", True, "attn_implementation: is True"),
    "a backbone's attention of no name": ("encoder_config._attn_implementation", 3, "_attn_implementation: is 3"),
    "no backbone": ("encoder_config", [], "encoder_config: is a list"),
    "an unknown backbone": ("encoder_config.model_type", "brt", r"encoder_config\.model_type: is 'brt'"),
    "itself as backbone": ("encoder_config.model_type", "hf_mtl", r"encoder_config\.model_type: is 'hf_mtl'"),
    "a backbone's list": ("encoder_config.model_type", ["bert"], r"encoder_config\.model_type: is \['bert'\]"),
    "a word for a size": ("encoder_config.hidden_size", "abc", r"encoder_config\.hidden_size: .*expected int"),
    "null for a size": ("encoder_config.hidden_size", None, r"encoder_config\.hidden_size: .*expected int"),
    "a negative size": ("encoder_config.hidden_size", -1, "cannot build a 'bert'|cannot be loaded"),
    "no size": ("encoder_config.num_attention_heads", 0, "cannot build a 'bert'"),
    "a large size": ("encoder_config.hidden_size", 10**12, r"encoder_config\.hidden_size: is 1000000000000"),
    "a size for the file": ("encoder_config.vocab_size", 2 * 10**9, "asks for a model of more than"),
    "a billion layers": ("encoder_config.num_hidden_layers", 10**9, r"num_hidden_layers: is 1000000000"),
    "a few thousand layers": ("encoder_config.num_hidden_layers", 9999, "asks for a model of more than"),
    "a few layers more": ("encoder_config.num_hidden_layers", 3, "weights of the model are missing"),
    "another size": ("encoder_config.intermediate_size", 25, r"weights of other sizes: .* has the shape \["),
    "labels without end": ("encoder_config.num_labels", 10**9, r"encoder_config\.num_labels: is 1000000000"),
    "nesting": ("encoder_config.hidden_act", DEEP, r"encoder_config\.hidden_act: is nested more than 20"),
    "an unknown function": ("encoder_config.hidden_act", "abc", "cannot build a 'bert'|hidden_act"),
}
FILES: dict[str, bytes] = {
    "empty": b"",
    "half": b'{"model_type": "hf_mtl", "tas',
    "html": b"<html>",
    "list": b"[]",
    "number": b"1",
    "null": b"null",
    "binary": bytes(range(128, 256)),
    "nested": b"[" * 200_000,
    "many digits": b'{"model_type": "hf_mtl", "max_length": 1' + b"0" * 5000 + b"}",
}
LATER = r"model\.head|asks for|cannot b|weights of"
"""Messages of what only a model shows; a config alone may have such values."""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    tiny.model().save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    (tmp_path / "model.safetensors").symlink_to(saved / "model.safetensors")
    (tmp_path / "config.json").write_bytes((saved / "config.json").read_bytes())
    return tmp_path


def write(folder: Path, place: str, value: Any) -> None:
    """Change one place of a config."""
    config = json.loads((folder / "config.json").read_text())
    *names, last = place.split(".")
    where = config
    for name in names:
        where = where[name]
    where[last] = value
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("case", VALUES)
def test_a_value_that_no_model_has_is_one_message_with_its_key(folder: Path, case: str) -> None:
    place, value, problem = VALUES[case]
    write(folder, place, value)
    for door in (MultiTaskModel.from_pretrained, AutoModel.from_pretrained):
        with pytest.raises(ModelError, match=problem) as caught:
            door(folder)
        assert str(folder) in str(caught.value)
        assert len(str(caught.value)) < 1500
    for config_door in (MultiTaskConfig.from_pretrained, AutoConfig.from_pretrained):
        if not any(part in problem for part in LATER.split("|")):
            with pytest.raises(ModelError, match=rf"^{folder}/config\.json: .*{problem}"):
                config_door(folder)


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_is_no_config_is_named(folder: Path, kind: str) -> None:
    (folder / "config.json").write_bytes(FILES[kind])
    for door in (MultiTaskModel.from_pretrained, MultiTaskConfig.from_pretrained):
        with pytest.raises(UserError, match=rf"{folder}/config\.json: damaged"):
            door(folder)
    with pytest.raises(UserError, match=f"model.backbone.*{folder}"):
        load_encoder_config(str(folder))


def test_a_file_that_is_not_there_is_one_message(folder: Path) -> None:
    (folder / "config.json").unlink()
    for door in (MultiTaskModel.from_pretrained, MultiTaskConfig.from_pretrained):
        with pytest.raises(ModelError, match=f"cannot load the config of '{folder}'"):
            door(folder)


def backbone(value: Any, key: str = "num_hidden_layers") -> dict[str, Any]:
    return {**tiny.BERT, "model_type": "modernbert", key: value}


INLINE: dict[str, tuple[dict[str, Any], str]] = {
    "layers": (backbone(10**9), r"model\.backbone.*num_hidden_layers: is 1000000000"),
    "a word": (backbone("abc"), r"num_hidden_layers: not a 'modernbert' config: .*expected int"),
    "vocabulary": (backbone(10**12, "vocab_size"), r"vocab_size: is 1000000000000"),
    "labels": (backbone(10**9, "num_labels"), r"num_labels: is 1000000000"),
    "digits": (backbone(10**5000, "hidden_size"), r"hidden_size: is .*thousands of digits"),
}


@pytest.mark.parametrize("case", INLINE)
def test_a_backbones_config_is_looked_at_before_its_class_sees_it(case: str, tmp_path: Path) -> None:
    fields, problem = INLINE[case]
    with pytest.raises(ModelError, match=problem):
        load_encoder_config(fields)
    if case != "digits":  # JSON has none
        (tmp_path / "config.json").write_text(json.dumps(fields))
        with pytest.raises(ModelError, match="|".join((problem, "num_hidden_layers.*expected int"))):
            load_encoder_config(str(tmp_path))


def test_a_new_model_is_no_larger_than_the_memory() -> None:
    config = {**tiny.BERT, "vocab_size": 2**31 - 1, "hidden_size": 2**15, "num_attention_heads": 1}
    with pytest.raises(ModelError, match=r"model\.backbone: asks for a (model of more than|tensor that no memory)"):
        MultiTaskModel.from_backbone(config, tiny.TASKS)
    with pytest.raises(ModelError, match=r"asks for a model of more than .* GiB of memory"):
        tiny.model(config={"num_hidden_layers": 9999})


def test_a_new_model_is_no_larger_than_the_memory_that_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    free = SimpleNamespace(total=2**40, available=20_000)
    monkeypatch.setattr(allowance.psutil, "virtual_memory", lambda: free)
    with pytest.raises(ModelError, match="this machine has 0 GiB of memory free"):
        tiny.model()


def test_what_is_built_within_counts_for_itself() -> None:
    with building(lambda: Allowance(160, 10**6, "small"), "outer"):
        tiny.model()  # registers more where the heads are made, of encoders that are not kept
        with pytest.raises(ModelError, match="outer: asks for"):
            tiny.model(config={"num_hidden_layers": 30}, head="linear")
    tiny.model(config={"num_hidden_layers": 30}, head="linear")


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "another order": lambda config: dict(reversed(config.items())),
    "unknown keys": lambda config: {**config, "written_by": {"a": [1, 2.5, None]}, "rope_theta": 160000.0},
    "infinity": lambda config: {**config, "limit": float("inf")},
    "a padding of its own": lambda config: {**config, "pad_token_id": -1},
}


@pytest.mark.parametrize("case", CHANGES)
def test_what_may_be_in_a_config_stays_allowed(folder: Path, case: str) -> None:
    config = CHANGES[case](json.loads((folder / "config.json").read_text()))
    (folder / "config.json").write_text(json.dumps(config))
    assert list(MultiTaskModel.from_pretrained(folder).tasks) == list(tiny.TASKS)
