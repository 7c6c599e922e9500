"""What a launcher says, and what is left over of one."""

from pathlib import Path

import pytest

from hf_mtl import MultiTaskTrainingArguments
from hf_mtl.errors import UserError
from hf_mtl.launched import (
    STARTED,
    WHOLE_MODEL,
    Launched,
    backend_mistakes,
    count,
    environment_mistakes,
    launched,
    launcher_mistakes,
)

NAMES = (*STARTED, "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")


@pytest.fixture(autouse=True)
def _empty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"RANK": "0", "WORLD_SIZE": "1"}, None),
        ({"RANK": "1", "WORLD_SIZE": "2"}, Launched(1, 2)),
        ({"RANK": "2", "WORLD_SIZE": "2"}, None),
        ({"RANK": "1"}, None),
        ({"RANK": "x", "WORLD_SIZE": "2"}, None),
        ({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "4"}, Launched(0, 4)),
    ],
)
def test_only_what_is_said_in_full_counts(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: Launched | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert launched() == expected


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", ["x", "two", "1.5", " 1", "²", "-2"])
def test_what_is_no_number_is_a_mistake(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    [mistake] = environment_mistakes()
    assert str(mistake).startswith(f"{name}: '{value}' in the environment is no whole number. Launchers set it")
    assert count(name) == 1


@pytest.mark.parametrize("value", ["", "0", "3", "-1"])  # -1 is how libraries say: no launcher
def test_numbers_and_nothing_are_none(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("LOCAL_RANK", value)
    assert environment_mistakes() == []


@pytest.mark.parametrize("kind", ["FSDP", "DEEPSPEED", "MEGATRON_LM", "PARALLELISM_CONFIG"])
def test_a_launcher_that_splits_the_model_is_told_what_to_use(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setenv(f"ACCELERATE_USE_{kind}", "True")
    [mistake] = launcher_mistakes()
    assert (mistake.key, mistake.remedy) == (f"ACCELERATE_USE_{kind}", WHOLE_MODEL)
    with pytest.raises(UserError, match=f"ACCELERATE_USE_{kind}: 'True' in the environment, from the options of"):
        MultiTaskTrainingArguments(output_dir="none")
    monkeypatch.setenv(f"ACCELERATE_USE_{kind}", "false")
    assert launcher_mistakes() == []


def test_a_launcher_with_a_precision_that_no_run_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp8")
    [mistake] = launcher_mistakes()
    assert mistake.remedy == "Allowed: no, fp16, bf16; or leave it out, and set training.bf16"
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    assert launcher_mistakes() == []


def test_a_backend_needs_others_and_a_name_that_torch_knows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for backend, said in (("gloo", "is 'gloo', and this process was started alone"), ("glo", "Did you mean 'gloo'")):
        with pytest.raises(UserError, match=rf"training.ddp_backend: .*{said}"):
            MultiTaskTrainingArguments(output_dir=str(tmp_path), use_cpu=True, ddp_backend=backend)
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert backend_mistakes("gloo") == []
