"""Models and tokenizers that bring their own code: it is not run, and nobody is asked on the terminal."""

import json

import pytest

from hf_mtl import MultiTaskModel
from hf_mtl.errors import ModelError
from hf_mtl.modeling.backbone import load_encoder_config
from hf_mtl.modeling.tokenizer_files import read_tokenizer
from tests import tiny


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder whose files name a module beside them, and a terminal whose user answers yes."""
    monkeypatch.setattr("builtins.input", lambda text: "y")
    (tmp_path / "theirs.py").write_text("raise SystemExit('run')")
    config = {"model_type": "theirs", "auto_map": {"AutoConfig": "theirs.C", "AutoModel": "theirs.M"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    tokenizer = {"tokenizer_class": "Theirs", "auto_map": {"AutoTokenizer": ["theirs.T", None]}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    return tmp_path


def test_a_backbone_with_code_of_its_own_is_refused(folder):
    with pytest.raises(ModelError, match=r"model\.backbone: cannot load .* contains custom code"):
        load_encoder_config(str(folder))


def test_a_tokenizer_with_code_of_its_own_is_refused(folder):
    with pytest.raises(ModelError, match=r"model\.tokenizer: no tokenizer"):
        read_tokenizer(str(folder))


def test_a_config_that_names_a_kernel_is_refused(tmp_path):
    tiny.model().save_pretrained(tmp_path / "run")
    tiny.model().encoder.save_pretrained(tmp_path / "encoder")
    for name, load in (("run", MultiTaskModel.from_pretrained), ("encoder", load_encoder_config)):
        path = tmp_path / name / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "attn_implementation": "someone/kernel"}))
        with pytest.raises(ModelError, match="names the attention kernel 'someone/kernel', which is code of others"):
            load(str(tmp_path / name))


def test_a_config_with_auto_map_of_a_known_architecture_loads_ours(tmp_path):
    tiny.model().encoder.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "auto_map": {"AutoConfig": "theirs.C"}}))
    (tmp_path / "theirs.py").write_text("raise SystemExit('run')")
    assert load_encoder_config(str(tmp_path)).model_type == "bert"
