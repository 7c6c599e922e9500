"""Scores of a causal language model, against its own logits; what is refused."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from hf_mtl.errors import ModelError
from hf_mtl.inference.language_model import LanguageModel, check_language_model
from tests import tiny
from tests.inference.causal import write_causal

PROMPTS = ["w1 w2 w3 w4", "w5", "w6 w7"]
ANSWERS = [["w8", "w9 w10"], ["w8", "w9 w10"], ["w11 w12 w13"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_causal(tmp_path_factory.mktemp("causal"))


def by_hand(folder: Path, prompt: str, answer: str) -> float:
    """The mean log probability of an answer's tokens, one forward for each token."""
    tokenizer, model = tiny.tokenizer(), GPT2LMHeadModel.from_pretrained(folder).eval()
    ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    values = []
    for token in tokenizer(answer, add_special_tokens=False)["input_ids"]:
        logits = model(torch.tensor([ids])).logits[0, -1].double().detach()
        values.append(float(torch.log_softmax(logits, dim=-1)[token]))
        ids = [*ids, token]
    return float(np.mean(values))


def test_a_score_is_the_mean_log_probability_of_the_answers_tokens(folder: Path) -> None:
    found, cut = LanguageModel.load(str(folder), torch.device("cpu")).scores(PROMPTS, ANSWERS)
    assert cut == 0
    for prompt, answers, scores in zip(PROMPTS, ANSWERS, found, strict=True):
        assert scores == pytest.approx([by_hand(folder, prompt, answer) for answer in answers], abs=1e-5)


def test_scores_do_not_depend_on_batches(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = LanguageModel.load(str(folder), torch.device("cpu"))
    expected, _ = model.scores(PROMPTS, ANSWERS)
    monkeypatch.setattr("hf_mtl.inference.language_model._LOGITS", 1)
    found, _ = model.scores(PROMPTS, ANSWERS)
    assert np.concatenate(found) == pytest.approx(np.concatenate(expected), abs=1e-6)


def test_a_prompt_that_is_too_long_keeps_its_end(folder: Path) -> None:
    model = LanguageModel.load(str(folder), torch.device("cpu"))
    assert model.limit == 32
    long = " ".join(["w1"] * 20 + tiny.WORDS[:31])
    found, cut = model.scores([long, PROMPTS[0]], [["w8"], ["w8"]])
    assert cut == 1
    assert found[0] == pytest.approx([by_hand(folder, " ".join(tiny.WORDS[:31]), "w8")], abs=1e-5)


def refused(call: object, *values: object) -> str:
    with pytest.raises(ModelError) as error:
        call(*values)  # type: ignore[operator]
    return str(error.value)


def test_what_is_no_causal_language_model_is_refused(folder: Path, tmp_path: Path) -> None:
    assert "baselines.llm.model" in refused(check_language_model, str(tmp_path / "nowhere"))
    tiny.model().encoder.save_pretrained(tmp_path / "bert")
    tiny.tokenizer().save_pretrained(tmp_path / "bert")
    assert "is a bert, which is no causal language model" in refused(check_language_model, str(tmp_path / "bert"))
    headless = GPT2LMHeadModel(GPT2Config(**SMALL, tie_word_embeddings=False)).transformer
    tiny.tokenizer().save_pretrained(tmp_path / "bare")
    headless.config.save_pretrained(tmp_path / "bare")
    assert "has no weights: no file *.safetensors or *.bin" in refused(check_language_model, str(tmp_path / "bare"))
    headless.save_pretrained(tmp_path / "headless")
    tiny.tokenizer().save_pretrained(tmp_path / "headless")
    said = refused(LanguageModel.load, str(tmp_path / "headless"), torch.device("cpu"))
    assert "has no weights for lm_head.weight" in said


SMALL = {"vocab_size": 66, "n_embd": 8, "n_layer": 1, "n_head": 1, "n_positions": 32, "bos_token_id": 2}


@pytest.mark.parametrize(
    ("answers", "problem"), [([""], "has no token for the label ''"), (["w1 " * 32], "reads 32")]
)
def test_an_answer_without_tokens_or_with_too_many_is_refused(
    folder: Path, answers: Sequence[str], problem: str
) -> None:
    model = LanguageModel.load(str(folder), torch.device("cpu"))
    assert problem in refused(model.scores, ["w1"], [answers])
