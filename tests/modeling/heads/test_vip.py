import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig

from hf_mtl import Regression, SequenceClassification
from hf_mtl.modeling import build_head
from hf_mtl.modeling.heads.base import Decoded
from hf_mtl.modeling.heads.vip import LOG_TAU_BOUNDS, VIPHead
from hf_mtl.modeling.noise import Noise
from hf_mtl.tasks import Task

from ..families import FAMILIES

BERT = AutoConfig.for_model(**FAMILIES["bert"])
GOLDEN = json.loads((Path(__file__).parents[2] / "golden/head_vip.json").read_text())
CLASSES = SequenceClassification(labels=3)
TARGETS = Regression(label=["x", "y"])
# The head computes in float32 on purpose, whatever the precision around it; the golden values are float64.
FLOAT32 = {"rtol": 2e-6, "atol": 1e-6}


class Given(nn.Module):
    """Stands where a network was and returns what it was given."""

    def __init__(self, value: Any):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))

    def forward(self, features: Tensor) -> Tensor:
        return self.value


class GivenNoise(Noise):
    """Noise that is known beforehand."""

    def __init__(self, epsilon: Any):
        super().__init__(torch.zeros(len(epsilon), dtype=torch.int64), 0)
        self.epsilon = torch.tensor(epsilon)

    def normal(self, width: int, stream: str = "") -> Tensor:
        assert self.epsilon.shape[1] == width
        return self.epsilon


def vip(task: Task = CLASSES, features: int = 16, **options: Any) -> VIPHead:
    torch.manual_seed(0)
    head = build_head({"type": "vip", **options}, features, task, BERT, dropout=0.0)
    assert isinstance(head, VIPHead)
    return head


def golden_head(inputs: dict[str, Any], **options: Any) -> tuple[VIPHead, Task]:
    width = len(inputs["mu"][0])
    regression = inputs["task_type"] == "regression"
    task: Task = (
        Regression(label=[str(i) for i in range(width)]) if regression else SequenceClassification(labels=width)
    )
    head = vip(task, beta=inputs["beta"], gamma=inputs["gamma"], **options)
    head.mean, head.log_variance = Given(inputs["mu"]), Given(inputs["logvar"])
    with torch.no_grad():
        head.log_tau.fill_(inputs["log_tau"])
    return head, task


def data_term(task: Task, decoded: Decoded, labels: Tensor) -> Tensor:
    scale = 1.0 if decoded.scale is None else decoded.scale
    targets = labels * scale if task.real_valued else labels
    return task.row_losses(decoded.outputs * scale, targets).mean()


def penalty(decoded: Decoded) -> Tensor:
    return sum((p.coefficient * p.values for p in decoded.penalties.values()), torch.zeros(())).mean()


@pytest.mark.parametrize("case", GOLDEN["cases"])
def test_equals_the_golden_values(case: dict[str, Any]) -> None:
    inputs, expected = case["inputs"], case["expected"]
    head, task = golden_head(inputs)
    decoded = head.decode(torch.zeros(len(inputs["mu"]), 16), GivenNoise(inputs["epsilon"]))
    labels = torch.tensor(inputs["labels"])
    loss = data_term(task, decoded, labels)
    total = loss + penalty(decoded)
    total.backward()

    def same(found: Tensor, key: str) -> None:
        torch.testing.assert_close(found, torch.tensor(expected[key]), **FLOAT32)

    same(decoded.outputs if task.real_valued else decoded.outputs * (head.log_tau / 2).exp(), "sample")
    if not task.real_valued:
        same(decoded.outputs, "normalised_sample")
    same(loss, "task_loss")
    same(decoded.penalties["kl"].values.mean(), "kl_mean")
    same(head.gamma * decoded.penalties["log_tau"].values.mean(), "log_tau_term")
    same(total, "total")
    same(head.mean.value.grad, "grad_mu")
    same(head.log_variance.value.grad, "grad_logvar")
    same(head.log_tau.grad, "grad_log_tau")
    same(head.eval()(torch.zeros(1, 16)), "eval_output")
    matched, _ = golden_head(inputs, tau_objective="matched")
    found = matched.decode(torch.zeros(1, 16), GivenNoise(inputs["epsilon"])).penalties["log_tau"].values.mean()
    same(found, "matched_tau_penalty")
    summed, _ = golden_head(inputs, kl_reduction="sum")
    found = summed.decode(torch.zeros(1, 16), GivenNoise(inputs["epsilon"])).penalties["kl"].values.mean()
    same(found, "kl_sum_over_dims_mean_over_batch")


def literal(head: VIPHead, size: float) -> float:
    """Eq. 6 without the data term when mu, sqrt(Sigma) and sqrt(tau) are all multiplied by ``size``."""
    with torch.no_grad():
        head.mean, head.log_variance = Given([[size, -size]]), Given([[2 * torch.log(torch.tensor(size))] * 2])
        head.log_tau.fill_(2 * float(torch.log(torch.tensor(size))))
        return float(penalty(head.decode(torch.zeros(1, 16), GivenNoise([[0.3, 0.1]]))))


def test_the_literal_objective_has_no_lower_bound_and_the_prediction_does_not_change() -> None:
    head = vip(SequenceClassification(labels=2), beta=0.01, gamma=1.0)
    values, outputs = [], []
    for size in (1e-1, 1e-2, 1e-3):  # log Sigma is clipped at -10, so a tenth of that range is enough to see it
        values.append(literal(head, size))
        with torch.no_grad():
            outputs.append(head.decode(torch.zeros(1, 16), GivenNoise([[0.0, 0.0]])).outputs)
    torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-5, atol=1e-6)
    # (2 gamma - beta) log a: 4.58 less with every factor of ten, as algorithms derive it; the KL's -1/2 log Sigma
    # stops at the clip, so the last step is a little steeper.
    assert values[0] - values[1] == pytest.approx((2 - 0.01) * torch.log(torch.tensor(10.0)).item(), rel=0.01)
    assert values[2] < values[1] - 4.5


def descend(head: VIPHead, steps: int = 400) -> VIPHead:
    """Minimise a head's whole objective on some rows, bringing tau back to its range as training does."""
    torch.manual_seed(1)
    features, labels = torch.randn(64, 16), torch.randint(0, 3, (64,))
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-2)
    for step in range(steps):
        decoded = head.decode(features, Noise(torch.arange(64), step).segment(0, 64))
        optimizer.zero_grad()
        (data_term(CLASSES, decoded, labels) + penalty(decoded)).backward()
        optimizer.step()
        head.end_step(None)
    return head


def test_the_clip_holds_what_the_literal_objective_does_not() -> None:
    head = descend(vip(gamma=10.0))
    assert head.log_tau.item() == pytest.approx(LOG_TAU_BOUNDS[0], abs=1e-6)
    assert head.gauges()["tau_at_bound"] == 1
    assert head.gauges()["tau"] == pytest.approx(0.1, rel=1e-5)


def test_the_matched_objective_settles_where_tau_is_the_mean_variance() -> None:
    head = descend(vip(gamma=10.0, tau_objective="matched"))
    features = torch.randn(64, 16, generator=torch.Generator().manual_seed(1))
    variance = head.log_variance(features).exp().mean()
    assert head.gauges()["tau_at_bound"] == 0
    # Eq. 5: the normalised distributions have unit variance on average. The data term pulls tau a little, with a
    # gradient of order 1 against gamma = 10.
    assert float(variance / head.log_tau.exp()) == pytest.approx(1.0, abs=0.2)


def test_without_variance_normalisation_there_is_no_tau() -> None:
    head = vip(variance_normalization=False)
    assert head.auxiliary_parameters() == []
    assert head.gauges() == {}
    decoded = head.decode(torch.randn(4, 16), Noise(torch.arange(4), 0))
    assert set(decoded.penalties) == set(head.penalty_names) == {"kl"}
    assert not any("tau" in name for name in head.state_dict())


def test_without_sampling_the_loss_sees_the_mean() -> None:
    head = vip(variance_normalization=False, sampling=False)
    features = torch.randn(4, 16)
    decoded = head.decode(features, Noise(torch.arange(4), 0))
    torch.testing.assert_close(decoded.outputs, head(features))
    assert (decoded.penalties["kl"].values > 0).all()


@pytest.mark.parametrize(
    ("options", "task", "gamma"),
    [
        ({}, CLASSES, 1.0),
        ({}, TARGETS, 0.1),
        ({"preset": "paper"}, CLASSES, 10.0),
        ({"preset": "paper"}, TARGETS, 0.1),
        ({"preset": "paper", "gamma": 3.0}, CLASSES, 3.0),
        ({"gamma": {"classification": 2.0}}, TARGETS, 0.1),
        ({"gamma": {"classification": 2.0, "regression": 5.0}}, TARGETS, 5.0),
    ],
)
def test_gamma_is_given_by_kind_of_task(options: dict[str, Any], task: Task, gamma: float) -> None:
    assert vip(task, **options).gamma == gamma


@pytest.mark.parametrize("task", [CLASSES, TARGETS])
def test_prediction_is_deterministic_and_costs_what_an_mlp_head_costs(task: Task) -> None:
    head = vip(task).eval()
    features = torch.randn(5, 16)
    assert torch.equal(head(features), head(features))
    mlp = build_head("mlp", 16, task, BERT).eval()
    counts = []
    for module in (head, mlp):
        with FlopCounterMode(display=False) as counter:
            module(features)
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0


def test_an_affine_head_has_no_hidden_layer() -> None:
    linear = [module for module in vip(hidden=0).modules() if isinstance(module, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == [(16, 3), (16, 3)]


def test_rows_may_be_decoded_together_or_apart() -> None:
    head, features, noise = vip(), torch.randn(6, 16), Noise(torch.arange(6) * 11, 4)
    whole = head.decode(features, noise).outputs
    parts = [head.decode(features[a:b], noise.segment(a, b)).outputs for a, b in ((0, 2), (2, 6))]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-5, atol=1e-6)
    assert head.decode(features[:0], noise.segment(0, 0)).outputs.shape == (0, 3)


@pytest.mark.parametrize("task", [CLASSES, TARGETS])
def test_variance_is_that_of_the_samples(task: Task) -> None:
    head = vip(task)
    with torch.no_grad():
        head.log_tau.fill_(0.7)
    features = torch.randn(1, 16).expand(20_000, 16)
    samples = head.decode(features, Noise(torch.arange(20_000), 0)).outputs
    # 20,000 samples: the standard error of a variance is 1% of it.
    torch.testing.assert_close(samples.var(dim=0), head.variance(features[:1])[0], rtol=0.05, atol=0)
    torch.testing.assert_close(samples.mean(dim=0), head.eval()(features[:1])[0], rtol=0, atol=0.03)


def test_low_precision_keeps_log_variances_in_float32() -> None:
    head, features, noise = vip(), torch.randn(8, 16), Noise(torch.arange(8), 0)
    exact = head.decode(features, noise)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = head.decode(features, noise)
    pure = copy.deepcopy(head).bfloat16().decode(features.bfloat16(), noise)
    for decoded in (mixed, pure):
        assert decoded.outputs.dtype == torch.float32
        assert all(p.values.dtype == torch.float32 for p in decoded.penalties.values())
        # bfloat16 has 8 bits: only the networks' outputs may carry its error.
        torch.testing.assert_close(decoded.outputs, exact.outputs, rtol=0.03, atol=0.03)
    extreme = vip()
    extreme.log_variance = Given([[1e4, -1e4, 0.0]])
    assert all(
        torch.isfinite(p.values).all() for p in extreme.decode(features[:1], noise.segment(0, 1)).penalties.values()
    )
