import pytest
import torch
from torch import Tensor

from hf_mtl import MultiTaskModel
from hf_mtl.training.schedules.best_heads import BestHeads
from tests import tiny

TASKS = list(tiny.TASKS)


def moved(model: MultiTaskModel) -> None:
    with torch.no_grad():
        for value in model.heads.state_dict().values():
            value.copy_(~value if value.dtype == torch.bool else value + 1)


def head(model: MultiTaskModel, task: str) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.heads.of(task).head.state_dict().items()}


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("kind", ["linear", "vip", "vmtl"])
def test_a_head_comes_back_bit_for_bit_with_its_numbers_beside_the_parameters(kind: str) -> None:
    model = tiny.model(head=kind)
    heads = BestHeads(model.heads, TASKS)
    best = head(model, "mood")
    heads.keep("mood")
    assert "mood" in heads
    moved(model)
    other = head(model, "topic")
    for task in ("mood", "topic"):
        heads.restore(task, None)
    assert same(head(model, "mood"), best)
    assert same(head(model, "topic"), other), "nothing was kept of it"


def test_a_tasks_own_adapters_come_back_with_its_head() -> None:
    model = tiny.model(peft={"per_task": "lora"})
    private = model.private_adapters
    assert private is not None
    heads = BestHeads(model.heads, TASKS, private)
    heads.keep("mood")
    best = {task: [one.clone() for one in private.parameters_of(task)] for task in TASKS}
    for parameter in private.parameters():
        parameter.data.add_(1.0)
    again = BestHeads(model.heads, TASKS, private)
    again.load_state_dict(heads.state_dict())
    again.restore("mood", None)
    for task in TASKS:
        same = map(torch.equal, private.parameters_of(task), best[task])
        assert all(same) if task == "mood" else not any(same)


def test_the_optimizer_forgets_what_it_knew_of_the_head_and_of_nothing_else() -> None:
    model = tiny.model(head="linear")
    optimizer = torch.optim.Adam(model.heads.parameters())
    for parameter in model.heads.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    heads = BestHeads(model.heads, TASKS)
    heads.keep("mood")
    heads.restore("mood", optimizer)
    left = {id(parameter) for parameter in optimizer.state}
    assert left == {id(p) for name in ("topic", "score") for p in model.heads.parameters_of(name)}


def test_copies_go_through_a_state() -> None:
    model = tiny.model(head="vip")
    heads, again = (BestHeads(model.heads, TASKS) for _ in range(2))
    best = head(model, "score")
    heads.keep("score")
    again.load_state_dict(heads.state_dict())
    moved(model)
    again.restore("score", None)
    assert same(head(model, "score"), best)
    again.load_state_dict({})
    assert "score" not in again


def test_a_head_that_others_train_on_is_not_kept() -> None:
    shared = tiny.TASKS["mood"].model_copy(update={"head": {"share": "x"}})
    model = tiny.model(tasks={"mood": shared, "twin": shared})
    heads = BestHeads(model.heads, list(model.tasks))
    heads.keep("mood")
    assert "mood" not in heads
