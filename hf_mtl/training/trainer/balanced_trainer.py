"""A Trainer whose optimizer step is one decision of the balancing methods, whatever its micro-batches."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from hf_mtl.balancing import LossWeighting
from hf_mtl.data.collate import Layout
from hf_mtl.modeling import split_parameters
from hf_mtl.modeling.output import MultiTaskOutput
from hf_mtl.shown import get_logger
from hf_mtl.training.step.beside import forget_passes_beside
from hf_mtl.training.step.extra_passes import LossPass, RandomState
from hf_mtl.training.step.objective import Objective, StepResult
from hf_mtl.training.step.optimizer import (
    add_balancing_group,
    balancing_parameters,
    balancing_rate,
    left_out,
    optimizer_class,
    split_groups,
)
from hf_mtl.training.step.preparation import check_wrapped
from hf_mtl.training.step.task_batches import by_task
from hf_mtl.training.step.task_gradients import TaskGradients
from hf_mtl.training.trainer.own_code import no_part
from hf_mtl.training.trainer.planned_trainer import PlannedTrainer

logger = get_logger(__name__)

Batch = dict[str, Any]


class BalancedTrainer(PlannedTrainer):
    """Runs a step's micro-batches through the objective, and forms the gradients of single tasks where wanted."""

    # compute_loss returns a part of the step's scalar, times the accumulation that the Trainer divides by.
    loss_is_scaled_for_ga = False

    objective: Objective
    weighting: LossWeighting
    task_gradients: TaskGradients | None
    _loss_pass: LossPass
    _step_batches: list[Batch]
    _random: RandomState
    _by_gradients: bool = False
    _losses: Tensor | None = None

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """The Trainer's optimizer, with groups of their own for heads, auxiliary and balancing parameters.

        A given optimizer keeps its groups, and gets one of the balancing parameters that it does not have.
        """
        given = self.optimizer is not None
        optimizer = super().create_optimizer(model)
        rate = balancing_rate(optimizer, self.args)
        if not given and self.args.head_learning_rate is not None:
            _, heads = split_parameters(self.model)
            split_groups(optimizer, [parameter for _, parameter in heads], self.args.head_learning_rate)
        if not given:
            split_groups(optimizer, self.model.heads.auxiliary_parameters(), rate, weight_decay=0.0)
        learned = balancing_parameters(self.weighting, self.model)
        idle = self.args.balancing_learning_rate is not None and not learned
        if idle and self.is_world_process_zero():
            logger.warning("balancing_learning_rate does nothing here: no balancing parameters are learned.")
        missing = left_out(optimizer, learned)
        add_balancing_group(optimizer, missing.values(), rate)
        return self.optimizer

    @staticmethod
    def get_optimizer_cls_and_kwargs(args: Any, model: Any = None) -> tuple[Any, dict[str, Any]]:
        """As the Trainer's, and ``adamax``, which it does not know."""
        return optimizer_class(args, model)

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """As the Trainer's; the step's micro-batches are kept for passes beside the one that trains."""
        found = super().get_batch_samples(*args, **kwargs)
        self._step_batches = found[0]
        return found

    def training_step(self, model: nn.Module, inputs: Batch, num_items_in_batch: Any = None) -> Tensor:
        """As the Trainer's; the first micro-batch opens a step of the objective, the last one closes it."""
        if not self.objective.is_open:
            self._begin_step(model)
        gradients = self.task_gradients if self._by_gradients else None
        with nullcontext() if gradients is None else gradients.micro_batch(inputs):
            loss = super().training_step(model, inputs, num_items_in_batch)
        if not self.objective.is_open:
            raise no_part(self)
        if self.accelerator.sync_gradients:
            scaler = self.accelerator.scaler
            scale = None if scaler is None else scaler.get_scale()
            wants_to_stop = self.interruption.received is not None
            result = self.objective.finish(1.0 if scale is None else scale, self._learns(), wants_to_stop)
            if gradients is not None:
                gradients.finish(result, scale)
            self._step_done(result)
        # What the Trainer logs is the mean over the processes of what each returns.
        return loss if gradients is None else loss * self.processes.world

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """This micro-batch's part of the step's objective."""
        inputs = dict(inputs)
        plan = inputs.pop("plan")
        # The Trainer divides by the accumulation and DDP by the processes: the parts are to be added, not averaged.
        scale = self.current_gradient_accumulation_steps
        if not self._by_gradients:
            outputs = model(**inputs)
            loss = self._part(outputs, plan) * (scale * self.processes.world)
            return (loss, outputs) if return_outputs else loss
        assert self.task_gradients is not None
        # Not through DDP, which would add up what is still to be decided on.
        if self.task_gradients.by_task:
            return self._task_by_task(inputs, plan) * scale
        outputs = self.model(**inputs)
        if self.task_gradients.apart:
            with self.task_gradients.data_terms(inputs):
                self._backward(_data_terms(outputs, plan, self.objective.names), retain_graph=True)
        return self._part(outputs, plan) * scale

    def _begin_step(self, model: nn.Module) -> None:
        check_wrapped(self, model)
        forget_passes_beside(model)
        self._random = RandomState(self.args.device)
        self._by_gradients = self.task_gradients is not None and self.task_gradients.wanted
        self._losses_after = "losses_after" in self.weighting.needs_now()
        if self._by_gradients:
            assert self.task_gradients is not None
            self.task_gradients.begin()
        self._losses = self._losses_first()

    def _part(self, outputs: MultiTaskOutput, plan: Mapping[str, Any], constant: bool = True) -> Tensor:
        return self.objective.micro_batch(
            outputs.row_losses or {},
            plan["counts"],
            plan["nominal"],
            plan["gamma"],
            outputs.row_penalties,
            outputs.penalty_values,
            self._losses,
            constant,
        )

    def _losses_first(self) -> Tensor | None:
        """The step's losses, where its factors depend on them and no single forward has them all."""
        several = len(self._step_batches) > 1
        if not self.objective.losses_first or not (several or self._one_by_one):
            return None
        # Tasks that go one by one need a pass before the first of them anyhow.
        if not self.objective.exact_accumulation and not self._one_by_one:
            if self.is_world_process_zero():
                name = self.weighting.name
                logger.warning_once(f"exact_accumulation is false: '{name}' sees each micro-batch's own losses.")
            return None
        return self._loss_pass(self._step_batches, self._random, self._one_by_one)

    @property
    def _one_by_one(self) -> bool:
        """Whether the tasks of this step go through the model one after the other."""
        return self._by_gradients and self.task_gradients is not None and self.task_gradients.by_task

    def _task_by_task(self, inputs: Batch, plan: Mapping[str, Any]) -> Tensor:
        """Forward and backward of each task's rows, one task after the other; what is left has no graph."""
        gradients, total = self.task_gradients, torch.zeros((), device=self.args.device)
        assert gradients is not None
        for place, (name, batch) in enumerate(by_task(inputs)):
            task = self.objective.names.index(name)
            gradients.before_task(task, batch)
            outputs = self.model(**batch)
            if gradients.apart:
                with gradients.data_terms(batch, task):
                    self._backward(_data_terms(outputs, plan, self.objective.names), retain_graph=True)
            part = self._part(outputs, plan, constant=place == 0)
            self._backward(part)
            gradients.take(task)
            total = total + part.detach()
        return total.requires_grad_()  # the Trainer calls its backward

    def _backward(self, loss: Tensor, retain_graph: bool = False) -> None:
        scaler = self.accelerator.scaler
        (loss if scaler is None else scaler.scale(loss)).backward(retain_graph=retain_graph)

    def _layout(self) -> Layout:
        return "mixed" if self.task_gradients is None else self.task_gradients.shared.layout

    def _learns(self) -> bool:
        """Whether the balancing parameters learn in this step."""
        return True

    def _step_done(self, result: StepResult) -> None:
        """What else there is to do before the optimizer's step."""

    def after_update(self) -> None:
        """Tell a weighting that asked for it what the model's update did to the step's losses, if there was one."""
        not_finite = self._by_gradients and self.task_gradients is not None and self.task_gradients.skipped
        if self._losses_after and not not_finite and not self.accelerator.optimizer_step_was_skipped:
            self.weighting.observe(losses_after=self._loss_pass(self._step_batches, self._random, self._one_by_one))

    def _clip_grad_norm(self, model: nn.Module) -> Any:
        """As the Trainer's, without the heads' auxiliary parameters, whose gradients are of another size."""
        apart = {id(parameter) for parameter in self.model.heads.auxiliary_parameters()}
        if not apart:
            return super()._clip_grad_norm(model)
        clipped = [parameter for parameter in model.parameters() if id(parameter) not in apart]
        return self.accelerator.clip_grad_norm_(clipped, self.args.max_grad_norm)


def _data_terms(outputs: MultiTaskOutput, plan: Mapping[str, Any], names: Sequence[str]) -> Tensor:
    """The sum over tasks of this micro-batch's part of L_t."""
    parts = [rows.sum() / plan["counts"][names.index(name)] for name, rows in (outputs.row_losses or {}).items()]
    return torch.stack(parts).sum()
