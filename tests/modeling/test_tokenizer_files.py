"""Damage to a tokenizer's files is one message that names the file, or does no harm."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import BertConfig, PreTrainedTokenizerBase

from hf_mtl.errors import ModelError
from hf_mtl.modeling.tokenizer_files import read_tokenizer, save_without_state
from tests import tiny

FILES = ("tokenizer.json", "tokenizer_config.json")
DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda text: b"",
    "half": lambda text: text[: len(text) // 2],
    "html": lambda text: b"<!DOCTYPE html><html><body>Not Found</body></html>",
    "null": lambda text: b"null",
    "list": lambda text: b"[]",
    "number": lambda text: b"7",
    "text": lambda text: b'"abc"',
    "binary": lambda text: bytes(range(256)),
    "nested": lambda text: b"[" * 200_000,
    "pointer": lambda text: b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12\n",
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    tiny.tokenizer().save_pretrained(folder)
    return folder


def broken(whole: Path, folder: Path, name: str, content: bytes) -> Path:
    """A copy with one file changed."""
    for file in whole.iterdir():
        (folder / file.name).write_bytes(content if file.name == name else file.read_bytes())
    return folder


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_is_named(whole: Path, tmp_path: Path, name: str, kind: str) -> None:
    folder = broken(whole, tmp_path, name, DAMAGE[kind]((whole / name).read_bytes()))
    with pytest.raises(ModelError, match=f"model.tokenizer: {folder / name}: damaged") as caught:
        read_tokenizer(str(folder))
    assert len(str(caught.value)) < 600


def test_a_file_that_is_a_folder_is_no_tokenizer(whole: Path, tmp_path: Path) -> None:
    folder = broken(whole, tmp_path, "tokenizer.json", b"")
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.json").mkdir()
    with pytest.raises(ModelError, match="model.tokenizer: no tokenizer could be loaded"):
        read_tokenizer(str(folder))


def test_values_of_other_types_do_no_harm_or_are_one_message(whole: Path, tmp_path: Path) -> None:
    draw, read = random.Random(0), 0
    for name in FILES * 60:
        content = json.loads((whole / name).read_text())
        where = content
        while True:
            key = draw.choice(list(where) if isinstance(where, dict) else range(len(where)))
            if not isinstance(where[key], (dict, list)) or not where[key] or draw.random() < 0.3:
                break
            where = where[key]
        where[key] = draw.choice([None, -1, 10**12, "abc", [], {}, [[]], True, 0.5, "", {"a": {"b": []}}])
        folder = broken(whole, tmp_path, name, json.dumps(content).encode())
        try:
            found = read_tokenizer(str(folder))
        except ModelError:
            continue
        assert isinstance(found, PreTrainedTokenizerBase)
        assert found("w1 w2")["input_ids"]
        read += 1
    assert 5 < read < 110


def test_a_repository_that_wants_to_run_code_is_refused_without_a_question(whole: Path, tmp_path: Path) -> None:
    config = json.loads((whole / "tokenizer_config.json").read_text())
    config |= {"tokenizer_class": "Mine", "auto_map": {"AutoTokenizer": ["code.Mine", "code.Mine"]}}
    folder = broken(whole, tmp_path, "tokenizer_config.json", json.dumps(config).encode())
    with pytest.raises(ModelError, match="model.tokenizer: no tokenizer could be loaded .*contains custom code"):
        read_tokenizer(str(folder))


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_of_the_hubs_cache_is_named(whole: Path, tmp_path: Path, name: str) -> None:
    snapshot = tmp_path / "models--some--words" / "snapshots" / "a1"
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("a1")
    options = {"cache_dir": str(tmp_path), "local_files_only": True}
    BertConfig(**tiny.BERT).save_pretrained(snapshot)
    broken(whole, snapshot, "none", b"")
    assert read_tokenizer("some/words", **options)("w1")["input_ids"]
    broken(whole, snapshot, name, b"<html>")
    with pytest.raises(ModelError, match=f"model.tokenizer: {snapshot / name}: damaged .*looks like a web page"):
        read_tokenizer("some/words", **options)


def test_a_tokenizer_is_saved_without_its_last_call_and_goes_on_as_it_was(whole: Path, tmp_path: Path) -> None:
    called = tiny.tokenizer()
    options = {"max_length": 8, "truncation": "only_second", "padding": "max_length", "stride": 2}
    called("w1 w2", "w3 " * 30, **options)
    state = called.backend_tokenizer.truncation, called.backend_tokenizer.padding
    assert None not in state
    called.save_pretrained(tmp_path / "by transformers")
    again = read_tokenizer(str(tmp_path / "by transformers"))  # which has the state of the call among its options
    assert again.init_kwargs["truncation_strategy"] == "only_second"
    for name, tokenizer in {"once": called, "read": again}.items():
        save_without_state(tokenizer, tmp_path / name)
    assert (called.backend_tokenizer.truncation, called.backend_tokenizer.padding) == state
    assert again.init_kwargs["truncation_strategy"] == "only_second"
    texts = [" ".join(tiny.WORDS), "w3, w4", ""]
    for name in ("once", "read"):
        assert (tmp_path / name / "tokenizer.json").read_bytes() == (whole / "tokenizer.json").read_bytes()
        assert read_tokenizer(str(tmp_path / name))(texts)["input_ids"] == tiny.tokenizer()(texts)["input_ids"]
    found, wanted = (
        json.loads((folder / "tokenizer_config.json").read_text()) for folder in (tmp_path / "read", whole)
    )
    # The first is what transformers infers from the file of a call, of which nobody could tell the user's own.
    assert {key: value for key, value in found.items() if wanted.get(key) != value} == {
        "truncation_side": "right",
        "padding_side": "right",
        "pad_token_type_id": 0,
    }
    read_again = read_tokenizer(str(tmp_path / "once"))  # from a folder, with no connection
    save_without_state(read_again, tmp_path / "twice")
    for file in FILES:
        assert (tmp_path / "twice" / file).read_bytes() == (whole / file).read_bytes()
