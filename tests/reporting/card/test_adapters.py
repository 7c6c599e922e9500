"""A card names a model's adapters as their papers do."""

from dataclasses import replace
from typing import Any

import pytest

from hf_mtl.reporting.card import CardFacts, model_card
from hf_mtl.reporting.card.adapters import adapter_words
from tests import tiny

LORA = {"type": "lora", "r": 8}


@pytest.mark.parametrize(
    ("peft", "words"),
    [
        ("lora", "LoRA, which all tasks share."),
        ({**LORA, "use_dora": True}, "DoRA (`r 8`), which all tasks share."),
        ({**LORA, "use_rslora": True}, "rsLoRA (`r 8`), which all tasks share."),
        ({**LORA, "use_rslora": True, "use_dora": True}, "DoRA, scaled as in rsLoRA (`r 8`), which all tasks share."),
        (
            {"type": "ia3", "target_modules": ["k_proj", "down"], "feedforward_modules": []},
            "IA3 (`target_modules [k_proj, down], feedforward_modules []`), which all tasks share.",
        ),
        ({"per_task": LORA}, "LoRA (`r 8`) of each task alone."),
        ({"shared": "hra", "per_task": LORA}, "HRA, which all tasks share, and LoRA (`r 8`) of each task alone."),
        ({**LORA, "target_modules": ".*`q`"}, "LoRA (`` r 8, target_modules .*`q` ``), which all tasks share."),
    ],
)
def test_it_says_which_and_whose_they_are(peft: Any, words: str) -> None:
    [said] = adapter_words(peft)
    assert said == f"The encoder's own weights stayed as they were. Beside them the files hold {words}"


def test_a_card_says_them_and_what_to_install_only_where_the_model_has_them() -> None:
    facts = CardFacts("user/joined", tiny.TASKS, recipe={"model": {"peft": "lora"}})
    merged, adapted = model_card(facts), model_card(replace(facts, peft=LORA))
    assert "Install `hf_mtl`." in merged
    assert "LoRA" not in merged
    assert "Install `hf_mtl[peft]`." in adapted
    assert "LoRA (`r 8`), which all tasks share" in adapted
