"""A Trainer whose optimizer steps are planned: all rows of a step are known before its first micro-batch."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hf_mtl.batch import Batch, to_device
from hf_mtl.shown import get_logger
from hf_mtl.training.step.beside import forget_passes_beside
from hf_mtl.training.step.beside_optimizer import BesideOptimizer
from hf_mtl.training.step.loss_scaler import LossScaler
from hf_mtl.training.step.optimizer import complete, optimizer_class
from hf_mtl.training.step.preparation import check_wrapped
from hf_mtl.training.step.step import PlainStep, Step
from hf_mtl.training.step.task_gradients import TaskGradients
from hf_mtl.training.step.teleportation import Teleportation
from hf_mtl.training.trainer.counting import CountingTrainer
from hf_mtl.training.trainer.cut_steps import Fed, micro_batches_of, train_in_turn
from hf_mtl.training.trainer.methods import Methods
from hf_mtl.training.trainer.own_code import no_part, refuse_changed_loss
from hf_mtl.training.trainer.scoring_trainer import ScoringTrainer
from hf_mtl.training.trainer.step_parts import StepParts

logger = get_logger(__name__)


class StepTrainer(CountingTrainer, ScoringTrainer):
    """Hands each micro-batch to the step that it belongs to, which balances the tasks.

    Args:
        args: As in `ScoringTrainer`.
        kwargs: As in `ScoringTrainer` and `CountingTrainer`.
    """

    # compute_loss returns a part of the step's scalar, times the accumulation that the Trainer divides by.
    loss_is_scaled_for_ga = False

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.task_gradients: TaskGradients | None = None
        self.teleportation: Teleportation | None = None
        self.beside: BesideOptimizer | None = None
        self._batches: Sequence[Batch] = ()  # of the step
        self._part: Tensor | None = None  # of the micro-batch
        self._makes_optimizer = kwargs.get("optimizers", (None,))[0] is None

    def take_parts(self, methods: Methods, of_steps: StepParts, beside: BesideOptimizer | None) -> None:
        """Take what makes and watches the steps.

        Args:
            methods: The balancing methods.
            of_steps: What runs and watches the steps.
            beside: Trains what the weighting learns, where the model's optimizer cannot; None: there it can.
        """
        self.weighting, self.objective, self.conflicts = methods.weighting, methods.objective, methods.conflicts
        self.task_gradients, self.teleportation = methods.gradients, methods.teleportation
        self.signals, self.budget, self.records = of_steps.signals, of_steps.budget, of_steps.records
        self.finite, self.scheduling, self.beside = of_steps.finite, of_steps.scheduling, beside
        self.step_maker, self.step_callback = of_steps.step_maker, of_steps.callback

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """Take the micro-batches as the Trainer does; the step that is about to begin has all of them at once."""
        found = super().get_batch_samples(*args, **kwargs)
        self._batches = [batch for fed in found[0] for batch in micro_batches_of(fed)]
        return found

    def _prepare_inputs(self, inputs: Fed) -> Fed:
        """Move a batch to the device; the Trainer would wait for each of its tensors."""
        return to_device(inputs, self.args.device)

    def training_step(self, model: nn.Module, inputs: Fed, num_items_in_batch: Any = None) -> Tensor:
        """Train as the Trainer does; the first micro-batch begins a step, and the last one closes it.

        With ``tokens_per_micro_batch`` the Trainer hands over all micro-batches of a step at once.
        """
        if isinstance(inputs, list):
            return train_in_turn(self, model, inputs, self._train_micro_batch)
        return self._train_micro_batch(model, inputs, num_items_in_batch)

    def _train_micro_batch(self, model: nn.Module, inputs: Batch, num_items_in_batch: Any = None) -> Tensor:
        step = self._step_of(model, inputs)
        with step.around(inputs):
            loss = super().training_step(model, inputs, num_items_in_batch)
        if step.parts == 0:
            raise no_part(self)
        if self._part is not None and not isinstance(step, PlainStep):
            refuse_changed_loss(self, self._part / self.current_gradient_accumulation_steps, loss)
        if self.accelerator.sync_gradients:
            # The balancing parameters rest with the encoder, as in the few-task paper.
            learns, stops = "encoder" not in self.scheduling.frozen, self.interruption.received is not None
            # An optimizer of their own divides by no factor.
            factor = None if self.beside is not None else LossScaler(self.accelerator).factor
            result = step.finish(factor, learns, stops)
            self.step_callback.after_backward(result, self.state.global_step)
            self.interruption.agree(float(result.on_host.votes))
        return step.logged(loss)

    def compute_loss(
        self, model: nn.Module, inputs: Batch, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Give this micro-batch's part of the step's objective."""
        loss, outputs = self._step_of(model, inputs).loss(model, inputs)
        is_ours = getattr(self.compute_loss, "__func__", None) is StepTrainer.compute_loss
        self._part = None if is_ours else loss.detach()  # looked at in `training_step`, which waits for the device
        return (loss, outputs) if return_outputs else loss

    def _step_of(self, model: nn.Module, inputs: Batch) -> Step:
        """Return the step that is open, or else one that begins with the micro-batches that the Trainer has taken."""
        step = self.step_maker.current
        if step is not None and step.is_open:
            return step
        check_wrapped(self.model, model, self.processes)
        forget_passes_beside(model)
        return self.step_maker.begin(self._batches or [inputs])

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Make the Trainer's optimizer, with groups of their own for heads, auxiliary and balancing parameters.

        A given optimizer keeps its groups, and gets one of the balancing parameters that it does not have.
        """
        given = self.optimizer is not None
        apart = self.beside is not None
        complete(super().create_optimizer(model), self.model, self.weighting, self.args, given, apart)
        found: torch.optim.Optimizer = self.optimizer
        return found

    def renew_optimizer(self) -> None:
        """Have a new optimizer made, unless the user gave one."""
        if self._makes_optimizer:
            self.optimizer = None
        elif self.is_world_process_zero():
            logger.warning(
                "The optimizer that was given to the Trainer goes on with what it remembers; to begin anew, give "
                "a new one to a new Trainer."
            )

    @staticmethod
    def get_optimizer_cls_and_kwargs(args: Any, model: Any = None) -> tuple[Any, dict[str, Any]]:
        """Find the optimizer as the Trainer does, and ``adamax``, which it does not know."""
        return optimizer_class(args, model)

    def _clip_grad_norm(self, model: nn.Module) -> Any:
        """Clip all but the heads' auxiliary parameters, whose gradients are of another size."""
        apart = {id(parameter) for parameter in self.model.heads.auxiliary_parameters()}
        if not apart:
            return super()._clip_grad_norm(model)
        clipped = [parameter for parameter in model.parameters() if id(parameter) not in apart]
        return self.accelerator.clip_grad_norm_(clipped, self.args.max_grad_norm)

    def _get_learning_rate(self) -> float:
        """Give the learning rate of the step, for the log."""
        return float(super()._get_learning_rate() * self.scheduling.rate_scale)

    def _maybe_log_save_evaluate(self, *args: Any, **kwargs: Any) -> None:
        """Check that losses and weights are finite before anything is logged, saved or evaluated."""
        control, step, running = self.control, self.state.global_step, self.step_maker.current
        last = control.should_training_stop or step >= self.state.max_steps
        undecided = running is not None and running.skipped
        skipped = undecided or self.accelerator.optimizer_step_was_skipped
        self.finite.observe_update(step, skipped, scaled=self.accelerator.scaler is not None)
        if last or control.should_log or control.should_evaluate or control.should_save:
            self.finite.check(step, last)
        super()._maybe_log_save_evaluate(*args, **kwargs)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Save weights that are finite; others are never written, nor is a good checkpoint rotated away for them."""
        self.finite.check(self.state.global_step)
        super()._save_checkpoint(model, trial)
