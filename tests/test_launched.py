"""What a launcher says, and what is left over of one."""

from pathlib import Path

import pytest

from hf_mtl import MultiTaskTrainingArguments
from hf_mtl.errors import UserError
from hf_mtl.launched import (
    HOW_TO_SHARE,
    STARTED,
    Launched,
    backend_mistakes,
    count,
    environment_mistakes,
    launched,
    launched_compilation,
    launcher_mistakes,
    of_whoever_trains,
)
from hf_mtl.recipe import load_recipe
from hf_mtl.training.run.prepare import make_arguments
from hf_mtl.training.trainer import stub_builds
from hf_mtl.training.trainer.argument_checks import check_training
from tests.recipe.texts import MINIMAL

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
    assert (mistake.key, mistake.remedy) == (f"ACCELERATE_USE_{kind}", HOW_TO_SHARE)
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


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("ACCELERATE_USE_CPU", "", "Allowed: true or false; or unset it"),
        ("ACCELERATE_USE_DEEPSPEED", "maybe", "Allowed: true or false; or unset it"),
        ("ACCELERATE_DYNAMO_USE_FULLGRAPH", "maybe", "Allowed: true or false; or unset it"),
        ("ACCELERATE_DYNAMO_BACKEND", "TVN", "Allowed: no, eager, "),
        ("ACCELERATE_TORCH_DEVICE", "gpu", "Unset it."),
        ("ACCELERATE_TORCH_DEVICE", "xpu:0", "Unset it."),
    ],
)
def test_what_accelerate_would_fail_at_is_a_mistake(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, remedy: str
) -> None:
    monkeypatch.setenv(name, value)
    [mistake] = launcher_mistakes()
    assert mistake.key == name
    assert mistake.problem.startswith(f"'{value}' in the environment")
    assert mistake.remedy.startswith(remedy)


def test_what_accelerate_launch_always_sets_is_no_mistake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("FULLGRAPH", "DYNAMIC", "REGIONAL_COMPILATION"):
        monkeypatch.setenv(f"ACCELERATE_DYNAMO_USE_{name}", "False")
    for name, value in (("BACKEND", "NO"), ("MODE", "default")):
        monkeypatch.setenv(f"ACCELERATE_DYNAMO_{name}", value)
    for name, value in (("USE_CPU", "True"), ("MIXED_PRECISION", "no"), ("TORCH_DEVICE", "cpu")):
        monkeypatch.setenv(f"ACCELERATE_{name}", value)
    assert launcher_mistakes() == []
    args = MultiTaskTrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    assert (args.torch_compile, args.bf16, args.fp16) == (False, False, False)


def test_how_the_launcher_lets_the_model_compute_is_said_in_the_arguments(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ACCELERATE_DYNAMO_BACKEND", "INDUCTOR")
    monkeypatch.setenv("ACCELERATE_DYNAMO_MODE", "max-autotune")
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    assert launched_compilation() == ("inductor", "max-autotune")
    args = MultiTaskTrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    assert (args.torch_compile, args.torch_compile_backend) == (True, "inductor")
    assert (args.torch_compile_mode, args.bf16, args.fp16) == ("max-autotune", True, False)
    own = MultiTaskTrainingArguments(
        output_dir=str(tmp_path), use_cpu=True, fp16=True, torch_compile_backend="eager", torch_compile_mode="default"
    )
    assert (own.torch_compile_backend, own.torch_compile_mode, own.bf16) == ("eager", "default", False)


def test_a_compiler_of_the_launcher_that_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ACCELERATE_DYNAMO_BACKEND", "TVM")
    args = MultiTaskTrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to="none")
    monkeypatch.setattr(stub_builds, "_compile_failure", lambda backend, mode, device: f"no {backend}")
    [mistake] = check_training(args)
    assert str(mistake).startswith("training.torch_compile_backend: 'tvm' compiles nothing here: no tvm")


def test_a_backend_needs_others_and_a_name_that_torch_knows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for backend, said in (("gloo", "is 'gloo', and this process was started alone"), ("glo", "Did you mean 'gloo'")):
        with pytest.raises(UserError, match=rf"training.ddp_backend: .*{said}"):
            MultiTaskTrainingArguments(output_dir=str(tmp_path), use_cpu=True, ddp_backend=backend)
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert backend_mistakes("gloo") == []
    assert "ddp_backend" not in of_whoever_trains()


def test_who_does_not_train_needs_no_backend_alone(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"{MINIMAL}training: {{ddp_backend: gloo, use_cpu: true, output_dir: {tmp_path / 'run'}}}\n")
    with pytest.raises(UserError, match=r"training.ddp_backend: is 'gloo', and this process was started alone"):
        make_arguments(load_recipe(recipe))
    assert make_arguments(load_recipe(recipe), **of_whoever_trains()).ddp_backend is None
    recipe.write_text(
        f"{MINIMAL}training: {{fsdp: true, optim: sgd, use_cpu: true, output_dir: {tmp_path / 'run'}}}\n"
    )
    with pytest.raises(UserError, match=r"training.fsdp: is on, and this process is alone"):
        make_arguments(load_recipe(recipe))
    assert make_arguments(load_recipe(recipe), **of_whoever_trains()).fsdp is None


def test_a_rank_without_an_address_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    monkeypatch.setenv("MASTER_PORT", "29500")
    [mistake] = launcher_mistakes()
    assert (mistake.key, mistake.problem) == (
        "LOCAL_RANK",
        "'0' in the environment, without RANK, WORLD_SIZE, MASTER_ADDR",
    )
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR"):
        monkeypatch.setenv(name, "1")
    assert launcher_mistakes() == []
