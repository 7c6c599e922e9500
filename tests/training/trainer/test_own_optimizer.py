"""Optimizers that users make train what balances too, or are refused."""

from pathlib import Path
from typing import Any

import pytest
import torch

from hf_mtl import MultiTaskTrainingArguments
from hf_mtl.balancing import available, build_weighting
from hf_mtl.errors import UserError
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.training.trainer.own_optimizer import check_fused
from tests import tiny
from tests.training.trainers import make

OPTIONS = {"fixed": {"weights": [1.0, 1.0, 1.0]}}
LEARNED = [
    name
    for name, family in available().items()
    if family == "weighting" and list(build_weighting(name, num_tasks=3, **OPTIONS.get(name, {})).parameters())
]


def with_rates(**rates: float) -> MultiTaskModel:
    own = {name: tiny.TASKS[name].model_copy(update={"head_learning_rate": rate}) for name, rate in rates.items()}
    return tiny.model(tasks={**tiny.TASKS, **own})


RATES: dict[str, Any] = {"learning_rate": 1e-3, "lr_scheduler_type": "constant", "optim": "sgd"}


def sgd(model: MultiTaskModel, rate: float = 1e-3) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=rate)


def trained(folder: Path, **options: Any) -> torch.Tensor:
    """Every learned parameter of the weighting, and then of the model."""
    trainer = make(folder, **{**RATES, **options})
    trainer.train()
    return torch.cat(
        [p.detach().double().flatten() for m in (trainer.weighting, trainer.model) for p in m.parameters()]
    )


def test_uw_and_imtl_l_learn() -> None:
    assert {"uw", "imtl_l"} <= set(LEARNED)


@pytest.mark.parametrize("weighting", LEARNED)
def test_a_given_optimizer_trains_the_weighting_as_the_trainers_own_does(tmp_path: Path, weighting: str) -> None:
    model = tiny.model()
    given = trained(tmp_path, model=model, weighting=weighting, optimizers=(sgd(model), None))
    assert torch.equal(given, trained(tmp_path, weighting=weighting))
    assert bool(given[:3].any()), "s starts at 0"


def test_the_group_has_the_balancing_rate_or_the_optimizers_own(tmp_path: Path) -> None:
    def rate(**options: Any) -> float:
        model = tiny.model()
        trainer = make(tmp_path, model=model, weighting="uw", optimizers=(sgd(model, 0.25), None), **options)
        trainer.train()
        assert len(trainer.optimizer.param_groups) == 2
        trainer.train()
        assert len(trainer.optimizer.param_groups) == 2, "it joins once"
        return float(trainer.optimizer.param_groups[1]["initial_lr"])

    assert (rate(), rate(balancing_learning_rate=0.5)) == (0.25, 0.5)


def test_a_class_with_its_own_rate_gives_it_to_the_weighting_too(tmp_path: Path) -> None:
    kind = (torch.optim.SGD, {"lr": 0.125})
    groups = make(tmp_path, weighting="uw", optimizer_cls_and_kwargs=kind, **RATES).create_optimizer().param_groups
    assert {group["lr"] for group in groups} == {0.125}


def test_log_tau_that_an_optimizer_leaves_out_joins_it(tmp_path: Path) -> None:
    model = tiny.model(head="vip")
    auxiliary = {id(parameter) for parameter in model.heads.auxiliary_parameters()}
    assert auxiliary
    others = [parameter for parameter in model.parameters() if id(parameter) not in auxiliary]
    trainer = make(tmp_path, model=model, optimizers=(torch.optim.SGD(others, lr=1e-3), None))
    last = trainer.create_optimizer().param_groups[-1]
    assert {id(parameter) for parameter in last["params"]} == auxiliary
    assert last["weight_decay"] == 0.0


def test_parameters_of_the_model_in_no_group_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = tiny.model()
    make(tmp_path, model=model, optimizers=(torch.optim.SGD(model.heads.parameters(), lr=1e-3), None))
    assert "optimizers: encoder.embeddings.word_embeddings.weight, " in caplog.text


def constant(optimizer: torch.optim.Optimizer) -> Any:
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)


def test_a_schedule_beside_a_weighting_without_parameters_is_fine(tmp_path: Path) -> None:
    model = tiny.model()
    optimizer = sgd(model)
    given = trained(tmp_path, model=model, optimizers=(optimizer, constant(optimizer)))
    assert torch.equal(given, trained(tmp_path))


def test_what_a_given_optimizer_cannot_do_is_refused_at_once(tmp_path: Path) -> None:
    model = tiny.model(head="vip")
    optimizer = sgd(model)
    with pytest.raises(UserError) as caught:
        make(
            tmp_path,
            model=model,
            weighting="uw",
            optimizers=(optimizer, constant(optimizer)),
            head_learning_rate=0.1,
            balancing_learning_rate=0.1,
        )
    said = str(caught.value)
    assert "optimizers: has a schedule built before uw.s can join" in said
    assert "training.head_learning_rate: is 0.1" in said
    assert "training.balancing_learning_rate: is 0.1, and the given optimizer has its own groups for heads." in said
    with pytest.raises(UserError, match="optimizers: has a schedule .* built on another optimizer"):
        make(tmp_path, model=model, optimizers=(None, constant(optimizer)))


def test_an_optim_that_updates_the_model_alone_is_refused(tmp_path: Path) -> None:
    # Not in a Trainer, which would ask for the optimizer's package first.
    args = MultiTaskTrainingArguments(output_dir=str(tmp_path), optim="galore_adamw_layerwise", use_cpu=True)
    with pytest.raises(UserError, match=r"training\.optim: is .*galore_adamw_layerwise.*'uw' learns"):
        check_fused(args, build_weighting("uw", num_tasks=2), tiny.model())
    check_fused(args, build_weighting("dwa", num_tasks=2), tiny.model())


def test_an_optim_with_one_rate_is_refused_beside_rates_of_heads(tmp_path: Path) -> None:
    options = {"output_dir": str(tmp_path), "use_cpu": True, "head_learning_rate": 0.25}
    args = MultiTaskTrainingArguments(optim="galore_adamw_layerwise", **options)
    with pytest.raises(UserError) as caught:
        check_fused(args, build_weighting("dwa", num_tasks=3), with_rates(mood=0.5))
    said = str(caught.value)
    for key, rate in (("training", 0.25), ("tasks.mood", 0.5)):
        assert f"{key}.head_learning_rate: is {rate}, and 'galore_adamw_layerwise' has one learning rate" in said
    check_fused(MultiTaskTrainingArguments(**options), build_weighting("dwa", num_tasks=3), with_rates(mood=0.5))


def test_a_given_optimizer_beside_a_tasks_own_rate_is_refused(tmp_path: Path) -> None:
    model = with_rates(mood=0.5, score=0.25)
    with pytest.raises(UserError) as caught:
        make(tmp_path, model=model, optimizers=(sgd(model), None))
    keys = [item.key for item in caught.value.mistakes]
    assert keys == ["tasks.mood.head_learning_rate", "tasks.score.head_learning_rate"]
