"""A Hub that is broken, busy or behind a gateway is one message, never a traceback."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from transformers import Trainer

from hf_mtl import MultiTaskModel
from hf_mtl.data import hub_source
from hf_mtl.data.sources import load_source
from hf_mtl.errors import DataError, ModelError, RunError
from hf_mtl.modeling import weight_files
from hf_mtl.tasks import DatasetSource
from hf_mtl.training.saving.hub import HubTrainer
from tests import tiny
from tests.hub import world

ODD = (TypeError("'NoneType' object is not subscriptable"), KeyError("sha"), AttributeError("'list' has no 'get'"))


@pytest.mark.parametrize("error", ODD)
def test_what_a_client_raises_at_an_odd_answer_is_a_message(
    error: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(hub_source, "_builder", fail)
    with pytest.raises(DataError, match="tasks.a.dataset: cannot load 'a/b': the Hub's answer cannot be read"):
        load_source(DatasetSource(path="a/b"), "tasks.a.dataset")
    monkeypatch.setattr(Trainer, "init_hf_repo", fail)
    trainer = object.__new__(HubTrainer)
    trainer.args = SimpleNamespace(hub_model_id="a/b", output_dir="out")
    with pytest.raises(RunError, match="training.push_to_hub: cannot push to 'a/b'"):
        trainer.init_hf_repo()
    tiny.model().save_pretrained(tmp_path)
    monkeypatch.setattr(weight_files, "cached_file", fail)
    with pytest.raises(ModelError, match=f"{tmp_path}: model.safetensors cannot be found"):
        MultiTaskModel.from_pretrained(tmp_path)


@pytest.mark.slow
def test_what_no_hub_should_answer_is_one_message_each(machine: world.Machine) -> None:
    done = machine.python("-m", "tests.hub.odd")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    wrong = [f"{kind}, {door}: {end}\n{text}" for kind, door, end, text, _ in said if end != "message"]
    assert not wrong, "\n\n".join(wrong)
    for kind, door, _, text, seconds in said:
        assert f"odd/{kind}" in text or f"odd-{kind}" in text, (kind, door, text)
        assert len(text) < 1500, (kind, door, text)
        assert seconds < 60, (kind, door, seconds)
