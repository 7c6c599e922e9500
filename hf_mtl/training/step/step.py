"""One optimizer step: its micro-batches go through the model as the balancing methods want, and it is closed once.

A plain step is one forward and one backward of each micro-batch. A taped one forms the gradients of single tasks out
of that same backward. In a split one the tasks go through the model one after the other. Which of them a step is, is
decided when it begins: weightings need task gradients in some steps only.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from hf_mtl.batch import Batch, StepFacts, model_inputs
from hf_mtl.data.processes import is_main_process
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.in_passing import RandomState
from hf_mtl.modeling.output import MultiTaskOutput
from hf_mtl.shown import get_logger
from hf_mtl.training.step.loss_pass import LossPass
from hf_mtl.training.step.loss_scaler import LossScaler
from hf_mtl.training.step.objective import Objective
from hf_mtl.training.step.result import StepResult
from hf_mtl.training.step.task_batches import by_task
from hf_mtl.training.step.task_gradients import TaskGradients

logger = get_logger(__name__)


class Step(ABC):
    """One optimizer step: `begin`, then `loss` and its backward for each micro-batch, then `finish`.

    Args:
        model: The model itself, not what DDP has wrapped around it.
        objective: Makes one scalar of the losses.
        loss_pass: Finds the losses of a whole step beside the pass that trains.
    """

    one_by_one = False  # whether the tasks go through the model one after the other

    def __init__(self, model: MultiTaskModel, objective: Objective, loss_pass: LossPass):
        self.model = model
        self.objective = objective
        self.batches: Sequence[Batch] = ()
        self.is_open = False
        self.parts = 0  # micro-batches that have given theirs
        self._loss_pass = loss_pass
        self._losses: Tensor | None = None
        self._wants_losses_after = False
        self._random: RandomState

    def begin(self, batches: Sequence[Batch]) -> None:
        """Begin with all micro-batches that this process has in the step; of each of them, `loss` comes next."""
        self.batches, self.is_open = batches, True
        self._random = RandomState(self.objective.device)
        self._wants_losses_after = "losses_after" in self.objective.weighting.needs_now()
        self.objective.begin(self._facts, len(batches))
        self._losses = self._losses_first()

    @property
    def _facts(self) -> StepFacts:
        """Tell what the plan says of the step; what it says of a micro-batch alone is not asked here."""
        return self.batches[0]["plan"]

    @property
    def skipped(self) -> bool:
        """Tell whether the step leaves the weights as they are, as its task gradients are not finite."""
        return False

    def around(self, inputs: Batch) -> AbstractContextManager[None]:
        """Wrap the forward and backward of a micro-batch."""
        return nullcontext()

    def loss(self, model: nn.Module, inputs: Batch) -> tuple[Tensor, MultiTaskOutput | None]:
        """Run the forward of a micro-batch.

        Args:
            model: The model as the Trainer calls it, maybe DDP's.
            inputs: The micro-batch.

        Returns:
            Its part of the step's scalar, times what the Trainer and DDP divide by; and what the model gave, None
            where it gave several things.
        """
        self.parts += 1
        return self._part(model, inputs)

    @abstractmethod
    def _part(self, model: nn.Module, inputs: Batch) -> tuple[Tensor, MultiTaskOutput | None]:
        """Answer `loss`."""

    def logged(self, loss: Tensor) -> Tensor:
        """Make a loss the one to log: of what each process returns, the Trainer logs the mean."""
        return loss

    def finish(self, factor: float | None, learns: bool, stops: bool) -> StepResult:
        """Close the step, after the backward of the last micro-batch.

        Args:
            factor: Factor of the loss scaler, which is in all gradients; None: there is no scaler.
            learns: Whether the balancing parameters learn in this step.
            stops: Whether this process wants to stop after the step.
        """
        assert self.is_open, "finish() before begin(), or again"
        self.is_open = False
        result = self.objective.finish(1.0 if factor is None else factor, learns, stops)
        self._forget_heads_without_mass()
        return result

    def tell_losses_after(self, update_skipped: bool) -> None:
        """Tell a weighting that asked for it what the model's update did to the step's losses, if there was one.

        Args:
            update_skipped: Whether a loss scaler has left it out.
        """
        if self._wants_losses_after and not self.skipped and not update_skipped:
            losses = self._loss_pass(self.batches, self._random, self.one_by_one)
            self.objective.weighting.observe(losses_after=losses)

    def _losses_first(self) -> Tensor | None:
        """Return the step's losses, where its factors depend on them and no single forward has them all."""
        several = len(self.batches) > 1
        if not self.objective.losses_first or not (several or self.one_by_one):
            return None
        # Tasks that go one by one need a pass before the first of them anyhow.
        if not self.objective.exact_accumulation and not self.one_by_one:
            if is_main_process():
                name = self.objective.weighting.name
                logger.warning_once(f"exact_accumulation is false: '{name}' sees each micro-batch's own losses.")
            return None
        return self._loss_pass(self.batches, self._random, self.one_by_one)

    def _forget_heads_without_mass(self) -> None:
        """Have the optimizer leave alone the heads of tasks whose rows in the step have no mass.

        Their gradients are 0, by which momentum and weight decay would move them; a task without rows has none.
        """
        facts = self._facts
        of_tasks = zip(self.objective.names, facts["counts"], facts["masses"], strict=True)
        masses, heads = {name: mass for name, count, mass in of_tasks if count}, self.model.heads
        without = [name for name, mass in masses.items() if not mass]
        if not without:
            return
        # A head that several tasks share is trained if one of them has mass.
        trained = {id(one) for name, mass in masses.items() if mass for one in heads.parameters_of(name)}
        for parameter in (one for name in without for one in heads.parameters_of(name)):
            if id(parameter) not in trained:
                parameter.grad = None


class PlainStep(Step):
    """A step without gradients of single tasks.

    Args:
        model: The model itself.
        objective: Makes one scalar of the losses.
        loss_pass: Finds the losses of a whole step.
        world: Number of processes.
    """

    def __init__(self, model: MultiTaskModel, objective: Objective, loss_pass: LossPass, world: int = 1):
        super().__init__(model, objective, loss_pass)
        self._world = world

    def _part(self, model: nn.Module, inputs: Batch) -> tuple[Tensor, MultiTaskOutput | None]:
        """Run one forward, through DDP."""
        outputs = model(**model_inputs(inputs))
        part = self.objective.micro_batch(outputs, inputs["plan"], self._losses)
        # The Trainer divides by the accumulation and DDP by the processes: the parts are to be added, not averaged.
        return part * (len(self.batches) * self._world), outputs


class _GradientStep(Step):
    """A step that decides on the gradients of single tasks; around DDP, which would add up what is not decided yet.

    Args:
        model: The model itself.
        objective: Makes one scalar of the losses.
        loss_pass: Finds the losses of a whole step.
        gradients: Forms the task gradients, and decides.
        scaler: Runs the backward passes that the Trainer does not.
        world: Number of processes.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        objective: Objective,
        loss_pass: LossPass,
        gradients: TaskGradients,
        scaler: LossScaler,
        world: int = 1,
    ):
        super().__init__(model, objective, loss_pass)
        self._gradients = gradients
        self._scaler = scaler
        self._world = world

    def begin(self, batches: Sequence[Batch]) -> None:
        """Begin with all micro-batches that this process has in the step."""
        self._gradients.begin()
        super().begin(batches)

    @property
    def skipped(self) -> bool:
        """Tell whether the step leaves the weights as they are, as its task gradients are not finite."""
        return self._gradients.skipped

    def logged(self, loss: Tensor) -> Tensor:
        """Make a loss the one to log: this process's part, of which the Trainer would log the mean."""
        return loss * self._world

    def finish(self, factor: float | None, learns: bool, stops: bool) -> StepResult:
        """Close the step, and write the gradients that were decided on."""
        result = super().finish(factor, learns, stops)
        self._gradients.finish(result, factor)
        return result

    def _backward_data_terms(self, outputs: MultiTaskOutput) -> None:
        terms = torch.stack(list(self.objective.data_terms(outputs).values())).sum()
        self._scaler.backward(terms, retain_graph=True)


class TapedStep(_GradientStep):
    """A step whose task gradients come out of one forward and one backward of each micro-batch."""

    def around(self, inputs: Batch) -> AbstractContextManager[None]:
        """Record what the layers see."""
        return self._gradients.micro_batch(inputs)

    def _part(self, model: nn.Module, inputs: Batch) -> tuple[Tensor, MultiTaskOutput | None]:
        """Run one forward; and a backward of the data terms, where a weighting is told of them alone."""
        batch = model_inputs(inputs)
        outputs = self.model(**batch)
        if self._gradients.apart:
            with self._gradients.data_terms(batch):
                self._backward_data_terms(outputs)
        return self.objective.micro_batch(outputs, inputs["plan"], self._losses) * len(self.batches), outputs


class SplitStep(_GradientStep):
    """A step whose tasks go through the model one after the other."""

    one_by_one = True

    def _part(self, model: nn.Module, inputs: Batch) -> tuple[Tensor, MultiTaskOutput | None]:
        """Run forward and backward of each task's rows; what is left has no graph."""
        total = torch.zeros((), device=self.objective.device)
        for place, (name, batch) in enumerate(by_task(model_inputs(inputs))):
            task = self.objective.names.index(name)
            self._gradients.before_task(task, batch)
            outputs = self.model(**batch)
            if self._gradients.apart:
                with self._gradients.data_terms(batch, task):
                    self._backward_data_terms(outputs)
            # What the scalar is beside the losses counts once, not once for each task.
            part = self.objective.micro_batch(outputs, inputs["plan"], self._losses, constant=place == 0)
            self._scaler.backward(part)
            self._gradients.take(task)
            total = total + part.detach()
        return total.requires_grad_() * len(self.batches), None  # the Trainer calls its backward
