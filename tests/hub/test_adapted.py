"""Models with adapters go to the Hub and come back elsewhere, with an empty cache and no network but the Hub."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerBase, set_seed

from tests import tiny
from tests.hub import world
from tests.hub.stub import serve

LORA = {"type": "lora", "r": 2}
SIZES = {
    "vocab_size": 300,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 24,
    "max_position_embeddings": 40,
    "pad_token_id": 0,
    "initializer_range": 0.2,
}
CASES: dict[str, tuple[str, Any, str]] = {
    "lora": ("bert", LORA, r"LoRA \(`.*\br 2\b.*`\), which all tasks share"),
    "dora": ("llama", {**LORA, "use_dora": True}, r"DoRA \(`.*\br 2\b.*`\), which all tasks share"),
    "ia3": ("qwen2", "ia3", r"IA3 \(`.*`\), which all tasks share"),
    "both": (
        "qwen2",
        {"shared": {**LORA, "use_rslora": True}, "per_task": {"type": "lora", "r": 3}},
        r"rsLoRA \(`.*\br 2\b.*`\), which all tasks share, and LoRA \(`.*\br 3\b.*`\) of each task alone",
    ),
}
"""The backbone, `model.peft`, and what the card says of it, as a pattern."""

SAVE = """
import json, sys
import torch
from hf_mtl import MultiTaskModel
from hf_mtl.training import push_run
from tests import tiny
from tests.hub.test_adapted import tokenizer

folder, cases = sys.argv[1], json.loads(sys.argv[2])
for name, (config, peft) in cases.items():
    torch.manual_seed(0)
    model = MultiTaskModel.from_backbone(config, tasks=tiny.TASKS, peft=peft)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if parameter.requires_grad and not key.startswith("heads."):
                parameter.add_(0.1 * torch.randn(parameter.shape))
    model.save_pretrained(f"{folder}/{name}")
    tokenizer(config["model_type"]).save_pretrained(f"{folder}/{name}")
    push_run(f"{folder}/{name}", f"user/{name}")
from tests.hub.using import main
main(["load", *(f"{folder}/{name}" for name in cases)])
"""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[world.Hub]:
    with serve() as served:
        world.fill(served, tmp_path / "filled")
        yield served


def backbone(family: str) -> dict[str, Any]:
    return tiny.BERT if family == "bert" else {"model_type": family, **SIZES}


def tokenizer(family: str) -> PreTrainedTokenizerBase:
    return tiny.qwen2_tokenizer() if family == "qwen2" else tiny.tokenizer()


def ended(machine: world.Machine, *command: str) -> Any:
    done = machine.python(*command)
    assert done.returncode == 0, done.stderr
    assert world.TOKEN not in done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def check_card(hub: world.Hub, name: str, words: str) -> None:
    card = hub.repos[f"models/user/{name}"].files["README.md"].decode()
    assert "hf_mtl[peft]" in card
    assert re.search(words, card), card


@pytest.mark.slow
@pytest.mark.parametrize("names", [("both", "ia3"), ("lora", "dora")])
def test_adapters_are_pushed_and_pulled_to_the_bit(hub: world.Hub, names: tuple[str, ...], tmp_path: Path) -> None:
    here = world.Machine(hub, tmp_path / "home", tmp_path / "cwd")
    cases = {name: (backbone(CASES[name][0]), CASES[name][1]) for name in names}
    local = ended(here, "-c", SAVE, str(tmp_path / "models"), json.dumps(cases))
    there = world.Machine(hub, tmp_path / "other-home", tmp_path / "other-cwd")
    pulled = ended(there, "-m", "tests.hub.using", "load", *(f"user/{name}" for name in names))
    for name in names:
        _, peft, words = CASES[name]
        assert pulled[f"user/{name}"] == local[f"{tmp_path / 'models'}/{name}"], name
        assert ("per_task" in pulled[f"user/{name}"]["peft"]) == ("per_task" in peft)
        check_card(hub, name, words)
    assert not hub.unknown


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_run_with_adapters_is_of_the_same_use_elsewhere(hub: world.Hub, name: str, tmp_path: Path) -> None:
    family, peft, words = CASES[name]
    set_seed(0)
    AutoModel.from_config(AutoConfig.for_model(**backbone(family))).save_pretrained(tmp_path / "backbone")
    tokenizer(family).save_pretrained(tmp_path / "backbone")
    hub.add(f"models/org/tiny-{family}", tmp_path / "backbone")
    recipe = world.recipe(hub, f"org/tiny-{family}", learning_rate=0.05)
    recipe["model"]["peft"] = peft
    recipe["tasks"]["score"]["standardize"] = False  # a decoder's own head has no bias to hold a mean
    rows = tmp_path / "rows.csv"
    tiny.rows("mood", 30, seed=9).remove_columns("label").to_csv(str(rows))

    here = world.Machine(hub, tmp_path / "home", tmp_path / "cwd")
    run = tmp_path / "one" / "run"
    done = here.train(world.write(tmp_path / "one", recipe), run)
    assert done.returncode == 0, done.stderr
    done = here.python("-m", "hf_mtl", "push", str(run), "user/made")
    assert done.returncode == 0, done.stderr
    local = ended(here, "-m", "tests.hub.using", "use", str(run), str(rows), str(tmp_path / "here"))
    there = world.Machine(hub, tmp_path / "other-home", tmp_path / "other-cwd")
    pulled = ended(there, "-m", "tests.hub.using", "use", "user/made", str(rows), str(tmp_path / "there"))
    assert pulled == local
    assert len(local["rows"].splitlines()) == 31
    for task in ("topic", "mood", "score"):
        assert local["exported"][task]["distance"] < 1e-4
        assert not local["exported"][task]["adapters"]
    check_card(hub, "made", words)
    repo = hub.repos["models/user/made"]
    assert not hub.unknown
    for root in (run, there.home, there.cwd, here.cwd, tmp_path / "here", tmp_path / "there"):
        for path in root.rglob("*"):
            assert not path.is_file() or world.TOKEN.encode() not in path.read_bytes(), path
    for file, content in repo.ever:
        assert world.TOKEN.encode() not in content, file
        assert str(tmp_path).encode() not in content, file
