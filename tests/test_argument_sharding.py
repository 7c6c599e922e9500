"""What of FSDP and DeepSpeed is honoured, and what is refused by name before anything is built."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from hf_mtl import MultiTaskTrainingArguments
from hf_mtl.argument_sharding import sharding_mistakes
from hf_mtl.errors import UserError

SGD = {"optim": "sgd"}
ZERO_2: dict[str, Any] = {"zero_optimization": {"stage": 2}, "gradient_clipping": "auto", "bf16": {"enabled": "auto"}}


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"fsdp": True},
        {"fsdp": "", "fsdp_config": {}},
        {"fsdp": True, "fsdp_config": {"reshard_after_forward": False, "fsdp_version": 2}},
        {"fsdp": True, "fsdp_config": '{"auto_wrap_policy": "NO_WRAP", "cpu_ram_efficient_loading": "false"}'},
        {"fsdp": True, "fsdp_config": {"transformer_layer_cls_to_wrap": ["BertLayer"]}},
        {"deepspeed": ZERO_2},
    ],
)
def test_what_works_is_taken(given: dict[str, Any]) -> None:
    assert sharding_mistakes({**SGD, **given}) == []


@pytest.mark.parametrize(
    ("given", "key", "said"),
    [
        ({"fsdp": "full_shard auto_wrap"}, "fsdp", "Set fsdp: true"),
        ({"fsdp_config": {"version": 2}}, "fsdp_config", "fsdp is off"),
        ({"fsdp": True, "fsdp_config": {"version": 1}}, "fsdp_config.version", "FSDP1"),
        ({"fsdp": True, "fsdp_config": {"fsdp_cpu_offload": True}}, "fsdp_config.fsdp_cpu_offload", "on the device"),
        (
            {"fsdp": True, "fsdp_config": {"activation_checkpointing": True}},
            "fsdp_config.activation_checkpointing",
            "",
        ),
        ({"fsdp": True, "fsdp_config": {"auto_wrap_policy": "SIZE_BASED_WRAP"}}, "fsdp_config.auto_wrap_policy", ""),
        ({"fsdp": True, "fsdp_config": {"min_num_params": 3}}, "fsdp_config.min_num_params", "may wrap heads"),
        ({"fsdp": True, "fsdp_config": {"state_dict_type": "SHARDED_STATE_DICT"}}, "fsdp_config.state_dict_type", ""),
        (
            {"fsdp": True, "fsdp_config": {"reshard_after_forwards": True}},
            "fsdp_config.reshard_after_forwards",
            "Did",
        ),
        ({"fsdp": True, "fsdp_config": [1]}, "fsdp_config", "Allowed: a mapping"),
        ({"fsdp": True, "optim": "adafactor"}, "optim", "whole ones"),
        ({"fsdp": True, "torch_compile": True}, "torch_compile", "Leave it off"),
        ({"fsdp": True, "bf16_full_eval": True}, "bf16_full_eval", "Leave it off"),
        ({"fsdp": True, "save_only_model": True}, "save_only_model", "Leave it off"),
        ({"deepspeed": {"zero_optimization": {"stage": 3}}}, "deepspeed.zero_optimization.stage", "use fsdp: true"),
        ({"deepspeed": {}, "fsdp": True, "optim": "lomo"}, "optim", "(fsdp)"),
        ({"deepspeed": ZERO_2, "fsdp": True}, "deepspeed", "Keep one"),
        ({"deepspeed": {**ZERO_2, "optimizer": {"type": "AdamW"}}}, "deepspeed.optimizer", "Set training.optim"),
        ({"deepspeed": {**ZERO_2, "gradient_clipping": 1.0}}, "deepspeed.gradient_clipping", "max_grad_norm"),
        ({"deepspeed": "/nowhere.json"}, "deepspeed", "a JSON file"),
        (
            {"deepspeed": {"zero_optimization": {"stage": 2, "offload_optimizer": {"device": "cpu"}}}},
            "deepspeed.zero_optimization.offload_optimizer",
            "stays on the device",
        ),
    ],
)
def test_what_does_not_is_refused_by_name(given: dict[str, Any], key: str, said: str) -> None:
    [mistake] = [item for item in sharding_mistakes({**SGD, **given}) if item.key == f"training.{key}"]
    assert said in str(mistake)


@pytest.mark.parametrize(
    ("argument", "value", "section"),
    [("max_grad_norm", 1.0, "gradient_clipping"), ("bf16", True, "bf16"), ("fp16", True, "fp16")],
)
def test_what_deepspeed_would_pass_over_is_said(argument: str, value: object, section: str) -> None:
    config = {name: item for name, item in ZERO_2.items() if name != section}
    [mistake] = sharding_mistakes({**SGD, argument: value, "deepspeed": config})
    assert f"says nothing of {section}, and training.{argument}" in str(mistake)


def test_options_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "fsdp.json"
    file.write_text(json.dumps({"version": 1}))
    [mistake] = sharding_mistakes({**SGD, "fsdp": True, "fsdp_config": str(file)})
    assert mistake.key == "training.fsdp_config.version"


def test_deepspeed_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    [mistake] = sharding_mistakes({**SGD, "deepspeed": ZERO_2})
    assert "not installed" in mistake.problem
    with pytest.raises(UserError, match="DeepSpeed is not installed"):
        MultiTaskTrainingArguments(output_dir=str(tmp_path), use_cpu=True, deepspeed=ZERO_2)
