from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import AutoTokenizer

from hf_mtl import (
    MultiTaskModel,
    MultiTaskTrainer,
    MultiTaskTrainingArguments,
    SequenceClassification,
    load_recipe,
    run_recipe,
)
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.data.vocabulary import train_wordpiece
from hf_mtl.errors import ModelError, UserError
from hf_mtl.inference.encode import encode_splits
from hf_mtl.inference.encoder_limits import check_token_ids, padding_id, row_limit
from hf_mtl.training import plan_recipe
from tests import tiny
from tests.modeling.families import make_model
from tests.training.trainers import make, parameters, same

MODEL = tiny.model()
PAIRS = SequenceClassification(text=["a", "b"], labels=2)
ROBERTA = {"model_type": "roberta", "type_vocab_size": 1, "pad_token_id": 0, "max_position_embeddings": 41}


def encoded(text: str, tokenizer: Any = None, limit: int | None = 1000) -> dict[str, EncodedSplit]:
    rows = {"topic": Dataset.from_dict({"text": [text], "label": [0]})}
    return encode_splits(rows, MODEL.tasks, tokenizer or tiny.tokenizer(), limit, "test")


def without_limit() -> Any:
    tokenizer = tiny.tokenizer()
    tokenizer.model_max_length = 10**30
    return tokenizer


def test_rows_longer_than_the_backbone_are_refused_and_short_ones_under_a_large_limit_are_not() -> None:
    check_token_ids(MODEL, encoded("w1 " * 30), tiny.tokenizer())
    said = (
        "max_length: leaves a row of 'topic' with 62 tokens, and the backbone has 40 positions. Allowed: at most 40"
    )
    with pytest.raises(UserError, match=said):
        check_token_ids(MODEL, encoded("w1 " * 60), tiny.tokenizer())


@pytest.mark.parametrize(
    ("family", "limit"),
    [("bert", 64), ("roberta", 62), ("distilbert", 64), ("llama", 64), ("deberta-v3", 64), ("t5", None)],
)
def test_without_a_limit_of_the_users_that_of_the_encoder_rules(family: str, limit: int | None) -> None:
    model = make_model(family)
    assert row_limit(model, without_limit()) == limit
    assert row_limit(model, tiny.tokenizer()) is None  # its own is lower
    assert row_limit(model, None) is None
    model.config.max_length = 50
    assert row_limit(model, without_limit()) == 50


def test_long_rows_are_cut_to_the_encoder_by_a_tokenizer_without_a_limit(tmp_path: Any) -> None:
    long = {"topic": Dataset.from_dict({"text": ["w1 " * 60, "w2", "w3"], "label": [0, 1, 2]})}
    args = MultiTaskTrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to=[], max_steps=1)
    trainer = MultiTaskTrainer(tiny.model(), args, long, processing_class=without_limit())
    assert trainer.train_dataset["topic"].tokens.lengths.tolist() == [40, 3, 3]
    assert trainer.train_dataset["topic"].tokens.truncated == 1


def test_a_token_type_that_the_encoder_has_not_is_refused_and_one_type_is_not() -> None:
    model = tiny.model(config=ROBERTA, tasks={"t": PAIRS})
    rows = {"t": Dataset.from_dict({"a": ["w1", "w3"], "b": ["w2", "w4"], "label": [0, 1]})}
    pairs = encode_splits(rows, model.tasks, tiny.tokenizer(), None, "train")
    with pytest.raises(ModelError, match="gives the token type 1 to a row of 't', and those of the backbone end at"):
        check_token_ids(model, pairs, tiny.tokenizer())
    check_token_ids(tiny.model(tasks={"t": PAIRS}), pairs, tiny.tokenizer())
    single = tiny.model(config=ROBERTA, tasks={"topic": tiny.TASKS["topic"]})
    check_token_ids(single, encoded("w1"), tiny.tokenizer())


def test_a_padding_token_beyond_the_embeddings_is_refused_though_no_row_has_it() -> None:
    tokenizer = tiny.tokenizer()
    tokenizer.add_special_tokens({"pad_token": "[FAR]"})
    tokenizer.add_tokens([f"more{number}" for number in range(9)])
    assert tokenizer.pad_token_id == 65
    check_token_ids(tiny.model(config={"vocab_size": 66}), encoded("w1"), tokenizer)
    with pytest.raises(ModelError, match="pads with the token id 65, and the backbone has 65 embeddings"):
        check_token_ids(tiny.model(config={"vocab_size": 65}), encoded("w1"), tokenizer)


def test_a_token_that_the_encoder_takes_for_padding_is_refused() -> None:
    model = tiny.model(config={"pad_token_id": 5})
    check_token_ids(model, encoded("w1 w2"), tiny.tokenizer())
    said = "pads with the token id 0, and the backbone with 5, which is that of 2 tokens of 'topic'"
    with pytest.raises(ModelError, match=said):
        check_token_ids(model, encoded("w0 w2 w0"), tiny.tokenizer())


def test_all_mistakes_are_said_at_once() -> None:
    model = tiny.model(config={"vocab_size": 30})
    both = {**encoded("w1 " * 60), **encoded("w1 " * 60)}
    both["mood"] = EncodedSplit(encoded("w58")["topic"].tokens, np.zeros(1))
    with pytest.raises(ModelError) as caught:
        check_token_ids(model, both, tiny.tokenizer())
    assert [item.key for item in caught.value.mistakes] == ["model.max_length", "model.tokenizer"]


@pytest.mark.parametrize(("own", "found"), [(3, 3), (None, 0)])
def test_rows_that_come_as_tokens_are_padded_with_the_encoders_padding(own: int | None, found: int) -> None:
    assert padding_id(tiny.model(config={"pad_token_id": own}), None) == found
    assert padding_id(tiny.model(config={"pad_token_id": own}), tiny.tokenizer()) == 0


def test_a_config_whose_padding_is_no_token_pads_with_another() -> None:
    model = make_model("llama")
    model.config.encoder_config.pad_token_id = -1
    assert padding_id(model, None) == 0


# ---- Recipes ----


def refused(recipe: Path, folder: Path, said: str, *overrides: str) -> None:
    """Both `train` and `plan` say it, and write nothing."""
    place = f"training.output_dir={folder / 'run'}"
    for do in (run_recipe, lambda *given: plan_recipe(load_recipe(*given))):
        with pytest.raises(UserError, match=said):
            do(recipe, [place, *overrides])
    assert not (folder / "run").exists()


def test_a_limit_beyond_the_positions_is_refused_though_all_rows_are_short(recipe: Path, tmp_path: Path) -> None:
    said = r"recipe.yaml:\d+: model.max_length: is 24, and the backbone has 23 positions. Allowed: at most 23"
    refused(recipe, tmp_path, said, "model.backbone.max_position_embeddings=23")


def test_rows_of_test_are_looked_at_before_training_though_nobody_asked_for_their_scores(
    recipe: Path, tmp_path: Path
) -> None:
    labels = tiny.rows("mood", 10)["label"]
    for split, last in {"train": 5, "validation": 5, "test": 87}.items():
        given = {"input_ids": [[2, last, 3]] * len(labels), "label": list(labels)}
        Dataset.from_dict(given).to_json(str(tmp_path / f"{split}.jsonl"))
    tokenizer = train_wordpiece(tiny.datasets()["topic"]["text"], vocab_size=140)
    tokenizer.add_tokens([f"more{number}" for number in range(88 - len(tokenizer))])
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    files = ", ".join(f"{split}: {tmp_path}/{split}.jsonl" for split in ("train", "validation", "test"))
    small = [f"model.tokenizer={tmp_path}/tokenizer", "model.backbone.vocab_size=87"]
    data = f"tasks.mood.dataset={{path: json, data_files: {{{files}}}}}"
    refused(recipe, tmp_path, "gives the token id 87 to a row of 'mood', and the backbone has 87", *small, data)


def test_token_types_that_the_encoder_has_not_are_refused(recipe: Path, tmp_path: Path) -> None:
    pairs = tiny.rows("mood", 40)
    pairs.add_column("other", pairs["text"]).to_json(str(tmp_path / "pairs.jsonl"))
    said = "model.tokenizer: gives the token type 1 to a row of 'mood', and those of the backbone end at"
    refused(
        recipe,
        tmp_path,
        said,
        "model.backbone.type_vocab_size=1",
        "tasks.mood.text=[text, other]",
        f"tasks.mood.dataset={{path: json, data_files: {tmp_path}/pairs.jsonl}}",
    )


def test_the_second_stage_of_a_run_takes_its_encoder_and_its_tokenizer(finished: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "second.yaml"
    tiny.rows("mood", 40, seed=5).to_json(str(tmp_path / "mood.jsonl"))
    recipe.write_text(
        f"model: {{backbone: {finished}, head: linear}}\n"
        "tasks: {new: {type: sequence_classification, dataset: {path: json, data_files: ./mood.jsonl}}}\n"
        f"training: {{output_dir: {tmp_path}/second, max_steps: 2, learning_rate: 1.0e-9, use_cpu: true, "
        "report_to: none, disable_tqdm: true, save_strategy: 'no'}\n"
    )
    run_recipe(recipe)
    first, second = (MultiTaskModel.from_pretrained(path) for path in (finished, tmp_path / "second"))
    assert list(second.tasks) == ["new"]
    weights = first.encoder.state_dict()
    for name, value in second.encoder.state_dict().items():
        torch.testing.assert_close(value, weights[name], rtol=0, atol=1e-6)
    words = [AutoTokenizer.from_pretrained(path).get_vocab() for path in (finished, tmp_path / "second")]
    assert words[0] == words[1]


def test_a_model_of_more_tokens_is_trained_saved_and_resumed(tmp_path: Path) -> None:
    def larger(seed: int) -> MultiTaskModel:
        model = tiny.model(seed=seed)
        model.resize_token_embeddings(70)
        return model

    options: dict[str, Any] = {"max_steps": 2, "save_strategy": "steps", "save_steps": 1}
    whole = make(tmp_path, model=larger(3), **options)
    whole.train()
    resumed = make(tmp_path / "resumed", model=larger(8), **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-1"))
    assert same(parameters(resumed), parameters(whole))
    loaded = MultiTaskModel.from_pretrained(tmp_path / "checkpoint-2")
    assert len(loaded.get_input_embeddings().weight) == 70


def test_a_tasks_own_limit_beyond_the_positions_is_refused_by_its_key(recipe: Path, tmp_path: Path) -> None:
    said = r"command line: tasks.mood.max_length: is 41, and the backbone has 40 positions. Allowed: at most 40"
    small = "model.backbone.max_position_embeddings=40"
    refused(recipe, tmp_path, said, small, "tasks.mood.max_length=41", "tasks.topic.max_length=40")


def test_a_row_that_is_scored_under_another_limit_is_refused_by_the_key_of_the_task() -> None:
    longer = {"topic": MODEL.tasks["topic"].model_copy(update={"max_length": 1000})}
    with pytest.raises(UserError, match="^tasks.topic.max_length: leaves a row of 'topic' with 62 tokens"):
        check_token_ids(MODEL, encoded("w1 " * 60), tiny.tokenizer(), longer)
