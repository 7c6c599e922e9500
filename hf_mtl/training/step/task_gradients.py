"""The gradients of single tasks in a run: formed step by step, decided on, and written where the optimizer looks."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from hf_mtl.balancing import (
    OF_GRADIENTS,
    GradientAggregator,
    GradientOptions,
    LookAhead,
    LossWeighting,
    NonFiniteRows,
)
from hf_mtl.batch import Batch
from hf_mtl.data.processes import is_main_process
from hf_mtl.data.train_rows import TrainRows
from hf_mtl.gradients import (
    HeldGradients,
    JacobianRows,
    Recomputed,
    SharedGradients,
    shared_parameters,
)
from hf_mtl.gradients.all_reduce import all_reduce_gradients
from hf_mtl.gradients.shared import Layout
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.in_passing import gradients_put_back
from hf_mtl.processes import Processes
from hf_mtl.shown import get_logger
from hf_mtl.training.step.decision import Decision, inverse
from hf_mtl.training.step.flops import Flops
from hf_mtl.training.step.result import StepResult
from hf_mtl.training.step.second_backward import SecondBackward

logger = get_logger(__name__)

_OF_AGGREGATOR = "aggregator."


class TaskGradients:
    """The gradients of single tasks in a run whose weighting or aggregator needs them.

    The aggregator's direction replaces the gradient of the shared parameters. Its rows are those of w_t (L_t + Q_t),
    with the weighting's w_t; heads get their task's gradient with its exposure and schedule coefficient. A weighting
    is told norms, or rows, of L_t alone.

    Args:
        model: The model.
        weighting: The loss weighting.
        aggregator: The aggregator; None: the sum that the objective makes.
        options: How gradients are formed and held.
        rows: Training rows, of which some show what works with the model.
        processes: This process among the others.
        flops: Counts the operations of what the training backward does not have.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        weighting: LossWeighting,
        aggregator: GradientAggregator | None,
        options: GradientOptions,
        rows: TrainRows,
        processes: Processes,
        flops: Flops,
    ):
        self.model = model
        self.weighting = weighting
        self.aggregator = aggregator
        self.options = options
        self.skipped_steps = 0
        self.skipped = False  # this step
        self._decision = Decision(model, weighting, aggregator, options.log_every)
        self._rows = rows
        self._processes = processes
        self._flops = flops
        self._shared: SharedGradients | None = None
        self._second: SecondBackward | None = None
        self._data: JacobianRows | Recomputed | None = None

    def prepare(self, several_batches: bool) -> Layout:
        """Decide how they are formed, when the model is where it will be trained; once, unless a checkpoint differs.

        Args:
            several_batches: Whether a step has several micro-batches, or may have.

        Returns:
            How the tasks share the rectangles of a batch.
        """
        if self._shared is None:
            ahead = self.aggregator if isinstance(self.aggregator, LookAhead) else None
            if ahead is not None:
                logger.info(f"Task gradients: '{ahead.name}' goes task by task, in both of its backward passes.")
            self._shared = SharedGradients(
                self.model,
                self.weighting.num_tasks,
                self.options if ahead is None else self.options.model_copy(update={"layout": "split"}),
                self._rows.probe(),
                self._processes,
                self._decision.wanted(several_batches),
            )
            if ahead is not None:
                self._second = SecondBackward(self.model, ahead.rho, self._shared.jacobian_rows, self._flops)
        return self._shared.layout

    @property
    def shared(self) -> SharedGradients:
        """Tell what forms them."""
        assert self._shared is not None, "prepare() comes first"
        return self._shared

    @property
    def wanted(self) -> bool:
        """Tell whether the coming step needs them."""
        if not any(parameter.requires_grad for parameter in shared_parameters(self.model)):
            return False  # a phase of the heads
        return self.aggregator is not None or bool(self.weighting.needs_now() & OF_GRADIENTS)

    @property
    def by_task(self) -> bool:
        """Tell whether the tasks go through the model one after the other."""
        return self.shared.layout == "split"

    @property
    def apart(self) -> bool:
        """Tell whether the gradients of data terms need a backward of their own in this step.

        The training backward has a head's penalties in it too.
        """
        return self._decision.tells_weighting and bool(self.model.heads.penalty_names)

    def begin(self) -> None:
        """Start a step."""
        self._decision.begin()
        self.skipped = False
        self.shared.begin()
        if self.apart:
            self._data = self._data or self.shared.another()
            self._data.begin()
        if self._second is not None:
            self._second.begin()

    def micro_batch(self, batch: Batch) -> AbstractContextManager[None]:
        """Record what the layers see in the forward and backward of a micro-batch."""
        return self.shared.micro_batch(batch)

    def before_task(self, task: int, batch: Batch) -> None:
        """Note the rows of one task before their forward, where tasks go one by one."""
        if self._second is not None:
            self._second.note(task, batch)

    def take(self, task: int) -> None:
        """Take the gradients of one task after the backward of its rows, where tasks go one by one."""
        self.shared.take(task)
        if self._second is not None:
            self._second.take(task)

    @contextmanager
    def data_terms(self, batch: Batch, task: int | None = None) -> Iterator[None]:
        """Form task gradients in a backward of data terms alone, and leave no other gradient of it.

        Where heads add penalties, the training backward does not have the data terms apart.

        Args:
            batch: What was forwarded.
            task: The only task in it; None: the backward is taped.
        """
        assert self._data is not None
        self._flops.count_backward(batch)
        with gradients_put_back(self.model):
            yield
            if task is None:
                self.shared.collect_into(self._data)
            else:
                assert isinstance(self._data, JacobianRows)
                self._data.add_task(task)

    def finish(self, result: StepResult, grad_scale: float | None) -> None:
        """Decide, once per optimizer step, and write the gradients of the shared parameters.

        Args:
            result: What the step saw.
            grad_scale: Factor of a loss scaler, which is in all gradients; None: there is no scaler.
        """
        held, scale = self.shared.close(), 1.0 if grad_scale is None else grad_scale
        try:
            self._tell_weighting(held, result, scale)
            self._look_ahead(held, result, scale)
            self._write(self._decision.direction(held, result, scale))
        except NonFiniteRows as error:
            self._skip(error, scaled=grad_scale is not None)
        for kept in (self.shared, self._data, self._second):  # nothing is, until the next step
            if kept is not None:
                kept.begin()

    def _write(self, direction: Iterator[tuple[nn.Parameter, Tensor]]) -> None:
        # Such a step goes around DDP: what has an ordinary gradient, such as the heads, is added up here.
        taken = {id(parameter) for parameter in self.shared.parameters}
        all_reduce_gradients([p for p in self.model.parameters() if id(p) not in taken], self._processes)
        for parameter, gradient in direction:
            parameter.grad = gradient

    def record(self, take: Callable[[Tensor, Tensor | None], None]) -> None:
        """Hand out what is logged of the step's gradients; see `Decision.record`."""
        self._decision.record(take)

    def _tell_weighting(self, held: HeldGradients, result: StepResult, grad_scale: float) -> None:
        if not self._decision.tells_weighting:
            return
        present, factors = result.present, inverse(result.factors) / grad_scale
        if self.apart:
            assert self._data is not None
            self._data.close()
            # A backward of the data terms alone has no c_t in it, but the loss scaler's factor.
            held, factors = self._data, present.double() / grad_scale
        self._decision.tell_weighting(held, factors, present)

    def _look_ahead(self, held: HeldGradients, result: StepResult, grad_scale: float) -> None:
        """Give an aggregator that asks for them the rows at perturbed parameters."""
        if self._second is None:
            return
        assert isinstance(held, JacobianRows)
        assert isinstance(self.aggregator, LookAhead)
        factors = inverse(result.unweighted) / grad_scale
        self._second.heads.close()
        displacements = self.aggregator.perturbations(held.jacobian())
        rows = self.shared.another()
        assert isinstance(rows, JacobianRows)
        rows.begin()
        # The passes are of sums over rows: c_t / M_t makes the task's part of the step's scalar of them.
        of_rows = result.factors / result.masses * grad_scale
        for task in result.on_host.present.nonzero().flatten().tolist():
            self._second.run(task, held.split(displacements[task]), of_rows[task])
            rows.add_task(task)
        rows.close()
        rows.scale(factors)
        self.aggregator.observe(jacobian=rows.jacobian())

    def _skip(self, error: NonFiniteRows, scaled: bool) -> None:
        """Let the optimizer do nothing; a loss scaler has to see why, to become smaller."""
        self.skipped = True
        self.skipped_steps += 1
        for parameter in [*self.model.parameters(), *self.weighting.parameters()]:
            parameter.grad = None
        due = math.log10(self.skipped_steps).is_integer()
        if due and not scaled and is_main_process():  # a scaler tries what is too much, by design
            tasks = ", ".join(f"'{self._rows.names[task]}'" for task in error.tasks)
            logger.warning(
                f"A step was skipped, the {self.skipped_steps}. so far: the gradient of {tasks} is not finite. "
                "The log counts them as skipped_steps; a lower learning rate or max_grad_norm may help."
            )
        if scaled:
            first = self.shared.parameters[0]
            first.grad = torch.full_like(first, float("inf"))

    def state_dict(self) -> dict[str, Any]:
        """Return the aggregator's state, and the counts of decisions and of skipped steps."""
        state = {} if self.aggregator is None else self.aggregator.state_dict()
        hold = {} if self._shared is None else {"hold": self._shared.hold}
        own = {f"{_OF_AGGREGATOR}{key}": value for key, value in state.items()}
        return {"skipped_steps": self.skipped_steps, "decided_steps": self._decision.decided, **hold, **own}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where a checkpoint left off."""
        self.skipped_steps = int(state["skipped_steps"])
        self._decision.decided = int(state["decided_steps"])
        if self.options.hold == "auto" and "hold" in state:
            # What fits may have been another thing there, and another rounding.
            self.options = self.options.model_copy(update={"hold": state["hold"]})
            self._shared = self._second = self._data = None
        if self.aggregator is not None:
            own = {key: value for key, value in state.items() if key.startswith(_OF_AGGREGATOR)}
            self.aggregator.load_state_dict({key.removeprefix(_OF_AGGREGATOR): own[key] for key in own})
