"""What is learned of a task that a step does not have stays as it is, moments of the optimizer too."""

import torch

from hf_mtl.balancing import build_weighting
from hf_mtl.processes import Processes
from hf_mtl.training.step.absent_tasks import AbsentTasks
from hf_mtl.training.step.objective import Objective


def test_an_absent_task_keeps_its_parameter_and_its_moments() -> None:
    weighting = build_weighting("uw", num_tasks=2)
    (s,) = weighting.parameters()
    optimizer = torch.optim.Adam([s], lr=0.1)
    objective = Objective(["a", "b"], weighting, Processes())
    held = AbsentTasks(objective)
    for absent in ([False, False], [False, True]):
        s.grad = torch.ones_like(s)
        objective.absent = torch.tensor(absent)
        before = s.detach().clone()
        held.before_update(optimizer)
        moments = {key: value.clone() for key, value in optimizer.state[s].items() if value.ndim}
        optimizer.step()
        held.after_update()
        assert (s != before).tolist() == [True, not absent[1]]
    assert moments["exp_avg"][1] == optimizer.state[s]["exp_avg"][1]
    assert moments["exp_avg"][0] != optimizer.state[s]["exp_avg"][0]
