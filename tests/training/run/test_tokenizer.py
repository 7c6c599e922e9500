from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from transformers import (
    AutoTokenizer,
    BertConfig,
    ByT5Tokenizer,
    PreTrainedTokenizerBase,
    pipeline,
)

from hf_mtl import MultiTaskModel, SequenceClassification, load_recipe, run_recipe
from hf_mtl.data.loaded import LoadedTask
from hf_mtl.data.vocabulary import train_wordpiece
from hf_mtl.errors import DataError, ModelError, UserError
from hf_mtl.modeling.backbone import load_encoder_config
from hf_mtl.recipe.schema import ModelSection
from hf_mtl.tasks import Task
from hf_mtl.training import plan_recipe
from hf_mtl.training.run.tokenizer import load_tokenizer, training_texts
from tests import tiny
from tests.modeling.families import FAMILIES, OTHERS
from tests.training import trainers


def loaded(text: str | list[str], columns: Mapping[str, list[str]], **splits: list[str]) -> LoadedTask:
    task: Task = SequenceClassification(text=text, labels=2)
    others = {name: Dataset.from_dict(dict.fromkeys(columns, texts)) for name, texts in splits.items()}
    return LoadedTask(task, {"train": Dataset.from_dict(dict(columns)), **others}, [])


DATA = {
    "one": loaded("text", {"text": ["apple apple", "pear pear"]}, validation=["cherry cherry cherry"]),
    "pair": loaded(["a", "b"], {"a": ["plum plum"], "b": ["fig fig"]}),
}
TRAINED: dict[str, Any] = {"train": "wordpiece", "vocab_size": 100}


def section(**options: Any) -> ModelSection:
    return ModelSection(**{"backbone": dict(tiny.BERT), **options})


def test_training_texts_are_those_of_every_task_and_column_and_of_no_other_split() -> None:
    assert list(training_texts(DATA)) == ["apple apple", "pear pear", "plum plum", "fig fig"]


def test_a_tokenizer_is_trained_on_the_training_texts() -> None:
    tokenizer = load_tokenizer(section(tokenizer=TRAINED), DATA, None)
    assert tokenizer.get_vocab() == train_wordpiece(training_texts(DATA), vocab_size=100).get_vocab()
    assert tokenizer.tokenize("Apple fig") == ["apple", "fig"]
    assert "cherry" not in tokenizer.get_vocab()


def test_every_process_trains_the_same_tokenizer() -> None:
    first, second = (load_tokenizer(section(tokenizer=TRAINED), DATA, None) for _ in range(2))
    assert first.get_vocab() == second.get_vocab()
    assert first("apple fig zebra")["input_ids"] == second("apple fig zebra")["input_ids"]


def test_options_reach_the_training() -> None:
    cased = load_tokenizer(section(tokenizer={**TRAINED, "lowercase": False, "min_frequency": 1}), DATA, None)
    assert cased("Apple")["input_ids"] != cased("apple")["input_ids"]


def test_a_kept_tokenizer_is_not_trained_again(tmp_path: Path) -> None:
    kept = train_wordpiece(["quince quince"], vocab_size=64)
    kept.save_pretrained(tmp_path)
    tokenizer = load_tokenizer(section(tokenizer=TRAINED), DATA, tmp_path)
    assert tokenizer.get_vocab() == kept.get_vocab()


@pytest.mark.parametrize("key", ["backbone", "tokenizer"])
def test_a_tokenizer_is_loaded_from_its_folder(tmp_path: Path, key: str) -> None:
    tiny.tokenizer().save_pretrained(tmp_path)
    BertConfig(**tiny.BERT).save_pretrained(tmp_path)
    tokenizer = load_tokenizer(section(**{key: str(tmp_path)}), DATA, None)
    assert isinstance(tokenizer, PreTrainedTokenizerBase)
    assert tokenizer("w1 w2")["input_ids"] == tiny.tokenizer()("w1 w2")["input_ids"]


def test_a_tokenizer_of_its_own_wins_over_the_backbones(tmp_path: Path) -> None:
    tiny.tokenizer().save_pretrained(tmp_path / "mine")
    tokenizer = load_tokenizer(section(backbone="./nowhere", tokenizer=str(tmp_path / "mine")), DATA, None)
    assert "w1" in tokenizer.get_vocab()


def test_a_tokenizer_that_cannot_be_loaded_is_the_users_mistake(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ModelError, match=rf"model\.tokenizer: no tokenizer could be loaded from '{place}'\."):
            load_tokenizer(section(tokenizer=str(place)), DATA, None)


def test_too_small_a_vocabulary_is_the_users_mistake() -> None:
    with pytest.raises(DataError, match=r"model\.tokenizer\.vocab_size: a vocabulary of 10 tokens"):
        load_tokenizer(section(tokenizer={"train": "wordpiece", "vocab_size": 10}), DATA, None)


def test_token_ids_are_no_texts_to_train_a_tokenizer_on() -> None:
    data = {**DATA, "ids": loaded("text", {"input_ids": ["1 2"]})}
    with pytest.raises(DataError, match=r"model\.tokenizer: a tokenizer to train, and the rows of ids are token ids"):
        load_tokenizer(section(tokenizer=TRAINED), data, None)


@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS])
def test_a_backbone_that_was_saved_without_its_tokenizer_is_refused(tmp_path: Path, family: str) -> None:
    load_encoder_config({**FAMILIES, **OTHERS}[family]).save_pretrained(tmp_path)
    for key in ("backbone", "tokenizer"):
        with pytest.raises(ModelError, match=rf"model\.tokenizer: no tokenizer .*'{tmp_path}'.*save_pretrained"):
            load_tokenizer(section(**{key: str(tmp_path)}), DATA, None)


def test_a_folder_that_has_lost_its_vocabulary_is_refused(tmp_path: Path) -> None:
    train_wordpiece(["quince quince"], vocab_size=64).save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match="which has no file of a vocabulary"):
        load_tokenizer(section(tokenizer=str(tmp_path)), DATA, None)


def test_older_files_of_a_vocabulary_are_read(tmp_path: Path) -> None:
    BertConfig(**tiny.BERT).save_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "apple"]))
    assert load_tokenizer(section(backbone=str(tmp_path)), DATA, None).tokenize("apple pear") == ["apple", "[UNK]"]


def test_a_tokenizer_of_bytes_needs_no_vocabulary(tmp_path: Path) -> None:
    ByT5Tokenizer().save_pretrained(tmp_path)
    assert isinstance(load_tokenizer(section(tokenizer=str(tmp_path)), DATA, None), ByT5Tokenizer)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("model.backbone={folder}/bare", r"model.tokenizer: no tokenizer is in '{folder}/bare'"),
        ("model.max_length=2", "model.max_length: 2 leaves no room for text"),
        (
            "model.tokenizer={folder}/words",
            "tasks.mood.text: the tokenizer does not know 100.0% of the tokens of train",
        ),
    ],
)
def test_a_recipe_whose_texts_the_model_could_not_read_is_refused(
    recipe: Path, tmp_path: Path, override: str, said: str
) -> None:
    BertConfig(**tiny.BERT).save_pretrained(tmp_path / "bare")
    train_wordpiece(["quince quince"], vocab_size=64).save_pretrained(tmp_path / "words")
    overrides = [override.format(folder=tmp_path), f"training.output_dir={tmp_path / 'run'}"]
    if "backbone" in override:
        overrides.append("model.tokenizer=")
    for do in (run_recipe, lambda *recipe: plan_recipe(load_recipe(*recipe))):
        with pytest.raises(UserError, match=said.format(folder=tmp_path)):
            do(recipe, overrides)
    assert not (tmp_path / "run").exists()


def test_the_model_of_a_run_exports_the_tokenizer_of_the_run(finished: Path, tmp_path: Path) -> None:
    model = MultiTaskModel.from_pretrained(finished)
    model.export_task("topic", tmp_path / "plain")
    kept = AutoTokenizer.from_pretrained(finished)
    text = str(tiny.rows("topic", 5)["text"][3])
    with torch.no_grad():
        logits = model(**kept(text, return_tensors="pt"), task="topic").logits["topic"]
    best = pipeline("text-classification", model=str(tmp_path / "plain"), device="cpu")(text)[0]
    assert best["label"] == "abc"[int(logits.argmax())]
    assert best["score"] == pytest.approx(float(logits.softmax(-1).max()), abs=1e-5)


def test_a_trainers_model_exports_the_trainers_tokenizer(tmp_path: Path) -> None:
    model = trainers.make(tmp_path, model=tiny.model(head="native")).model
    model.export_task("topic", tmp_path / "plain")
    assert AutoTokenizer.from_pretrained(tmp_path / "plain").get_vocab() == tiny.tokenizer().get_vocab()
