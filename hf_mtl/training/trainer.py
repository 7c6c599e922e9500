"""`transformers.Trainer` for several tasks: thin overrides that hand over to objects testable without a Trainer.

The journey of one row, from file to update:

 1. `data/sources.py` loads the file; `data/labels.py` checks the label and makes it a number.
 2. `data/tokenize.py` turns the text into token ids in one flat array (`data/tokens.py`).
 3. `data/mixture.py` gives its task a probability, `data/plan.py` gives the step n_t rows of the task, and a
    seeded permutation says that it is this row's turn.
 4. `data/plan.py: partition` deals the step's rows to processes and micro-batches.
 5. `data/collate.py` pads the row with others of its length: its group.
 6. `modeling/model.py` encodes each group once, pools, puts rows back in order, and runs the task's head.
 7. `modeling/losses.py` makes one loss of the row.
 8. `training/objective.py` divides it by the step's n_t and multiplies it by the task's exposure and weight.
 9. The Trainer's backward adds it to the gradients, DDP and accumulation add up the partition's parts; where single
    tasks' gradients are wanted, `training/task_gradients.py` has them formed apart, and decides what becomes of them.
10. The Trainer clips, the optimizer steps; learned balancing parameters get their gradient from the reduced losses.
"""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import EarlyStoppingCallback
from transformers.trainer_callback import TrainerState
from transformers.trainer_utils import TrainOutput

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.balancing import OF_GRADIENTS, Spec, Teleporting
from hf_mtl.data.mixture import Mixture
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.errors import Mistake, RunError, UserError
from hf_mtl.evaluation import Trust
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.progress import as_disable_tqdm_says, no_bars
from hf_mtl.reporting.log_keys import MODEL_STEP
from hf_mtl.schedules import build_schedules
from hf_mtl.shown import get_logger
from hf_mtl.signatures import Options
from hf_mtl.training import checkpoint as checkpoints
from hf_mtl.training.argument_checks import check_arguments, check_length, check_temperature_scaling, search_unused
from hf_mtl.training.balance_watch import BalanceWatch
from hf_mtl.training.balancing import make_aggregator, make_weighting
from hf_mtl.training.beginning import Beginning
from hf_mtl.training.budget import Budget, limit_steps
from hf_mtl.training.callbacks import BalancingCallback, HeadsCallback, LogStepsCallback
from hf_mtl.training.conflicts import ConflictLog, SampledConflicts
from hf_mtl.training.ddp_checks import check_ddp
from hf_mtl.training.doubts import say_doubts
from hf_mtl.training.encoder_limits import row_limit
from hf_mtl.training.ending import Ending, stays_stopped
from hf_mtl.training.extra_passes import LossPass
from hf_mtl.training.finite import FiniteWatch
from hf_mtl.training.fresh_folder import leaving_nothing
from hf_mtl.training.frozen_groups import FrozenGroups
from hf_mtl.training.horizon import say_other_length
from hf_mtl.training.interruption import Interruption, without_jit_checkpoint
from hf_mtl.training.objective import Objective, StepResult
from hf_mtl.training.own_code import take_tokenizer
from hf_mtl.training.own_optimizer import check_fused, check_own_optimizer
from hf_mtl.training.preparation import unprepare
from hf_mtl.training.probes import Prober
from hf_mtl.training.processes import Processes
from hf_mtl.training.run_identity import identity_of
from hf_mtl.training.schedule_checks import follows_evaluations, planned_evaluations
from hf_mtl.training.scheduling import SchedulesCallback
from hf_mtl.training.scoring_trainer import Datasets
from hf_mtl.training.sections import Sections, check_course, check_methods, read_sections
from hf_mtl.training.setup import fit_statistics
from hf_mtl.training.signals import TaskSignals
from hf_mtl.training.stub_builds import check_builds
from hf_mtl.training.task_checks import check_evaluation, check_scoring, check_tasks
from hf_mtl.training.task_gradients import TaskGradients
from hf_mtl.training.teleportation import Teleportation
from hf_mtl.training.temperatures import forget_temperatures
from hf_mtl.training.unfinished import Unfinished
from hf_mtl.training.watched_trainer import WatchedTrainer

logger = get_logger(__name__)


class MultiTaskTrainer(WatchedTrainer):
    """A `transformers.Trainer` whose model has several heads and whose datasets are dictionaries by task.

    Args:
        model: The model; its config holds the tasks.
        args: The training arguments.
        train_dataset: ``{task: Dataset}`` with the columns that the tasks name (or ``input_ids``). A model of one
            task takes a plain Dataset too.
        eval_dataset: The same for evaluation.
        processing_class: The tokenizer; also as ``tokenizer``, with a FutureWarning.
        mixture: Options of `hf_mtl.data.Mixture`, such as ``{"temperature": 2.0}``.
        balancing: ``{"weighting": name or {"name": ..., options}, "aggregator": the same, "reduction": "rows" or
            "tasks", "exact_accumulation": bool, "gradients": options of `hf_mtl.balancing.GradientOptions`}``. None:
            equal weighting, rows.
        schedules: Schedules, each a name or ``{"type": name, options}``; they compose.
        allow_code: Whether code that the tasks' metrics name may be run: scripts, metrics of users of the Hub, and
            all that are not hf_mtl's own where the model was loaded from a file.
        kwargs: As in `transformers.Trainer`. ``compute_metrics`` is called for each task with its EvalPrediction (and
            with the task's name, if it has a parameter ``task`` or a second one) and adds to the task's metrics.

    Raises:
        UserError: If arguments, data or model do not fit together; all mistakes at once.
    """

    @leaving_nothing
    def __init__(
        self,
        model: MultiTaskModel | None = None,
        args: MultiTaskTrainingArguments | None = None,
        train_dataset: Datasets | None = None,
        eval_dataset: Datasets | None = None,
        processing_class: Any = None,
        *,
        mixture: Mapping[str, Any] | Options | None = None,
        balancing: Mapping[str, Any] | Spec | None = None,
        schedules: Sequence[str | Mapping[str, Any] | Options] = (),
        allow_code: bool = False,
        **kwargs: Any,
    ):
        args = args or MultiTaskTrainingArguments(output_dir="tmp_trainer")
        processing_class = take_tokenizer(processing_class, kwargs)
        wrong: list[Mistake] = []
        sections = read_sections(mixture, balancing, schedules, wrong)
        check_arguments(model, args, kwargs, train_dataset is not None, type(self), wrong)
        assert model is not None
        self.model = model
        self.tasks = model.tasks
        self.trust = Trust.of(allow_code, named_by_user=not model.config.tasks_from_file)
        limit_steps(args)
        search_unused(args)
        check_tasks(args, self.tasks, train_dataset, eval_dataset, self.trust)
        self._encode_with = (processing_class, row_limit(model, processing_class))
        self._tried: set[tuple[str, str]] = set()
        own, overridden = kwargs.get("compute_metrics"), type(self).evaluate is not MultiTaskTrainer.evaluate
        with no_bars(args.disable_tqdm):
            train = self._encode(train_dataset, "train") if train_dataset is not None else None
            evaluation = self._encode(eval_dataset, "validation") if eval_dataset is not None else None
            check_evaluation(args, self.tasks, train or {}, evaluation or {}, own, overridden)
            check_scoring(self.tasks, evaluation or {}, self.trust, self._tried)
        if train is not None and args.temperature_scaling:
            check_temperature_scaling({name: self.tasks[name] for name in train}, evaluation or {})
        self.interruption, self.unfinished = Interruption(), Unfinished()
        with without_jit_checkpoint(args):
            super().__init__(
                model=model,
                args=args,
                train_dataset=train,
                eval_dataset=evaluation,
                processing_class=processing_class,
                **kwargs,
            )
        if processing_class is not None:
            model.remember_tokenizer(processing_class)
        self.processes = Processes.of(self.accelerator)
        self._rows_per_step: int | None = None
        self.ending: Ending | None = None
        self._best_step: int | None = None
        self._beginning = Beginning()
        self._makes_optimizer = kwargs.get("optimizers", (None,))[0] is None
        self.task_gradients = None
        self.teleportation: Teleportation | None = None
        if train is not None:
            self._set_up_training(train, sections)

    def _set_up_training(self, train: dict[str, EncodedSplit], sections: Sections) -> None:
        sizes = {name: len(split.tokens) for name, split in train.items()}
        fit_statistics(self.model, train, self.args.refit_statistics)
        check_methods(sections, self.model, self.args, list(sizes))
        self.mixture = Mixture(sizes, **sections.mixture.options())
        check_length(self.total_steps)
        self._set_up_balancing(sections.balancing)
        check_fused(self.args, self.weighting)
        check_own_optimizer(self.optimizer, self.lr_scheduler, self.weighting, self.model, self.args)
        self.signals = TaskSignals(sizes)
        self.finite = FiniteWatch(list(sizes), self._weights, self.processes.reduce_sum, str(self.args.output_dir))
        self.objective = Objective(
            list(sizes),
            self.weighting,
            micro_batches=lambda: self.args.gradient_accumulation_steps * self.processes.world,
            reduce_sum=self.processes.reduce_sum,
            reduction=sections.balancing.reduction,
            penalties=self.model.heads.penalty_names,
            exact_accumulation=sections.balancing.exact_accumulation,
            device=self.args.device,
        )
        trained = {name: self.tasks[name] for name in sizes}
        evaluated = list(self.eval_dataset or {}) if planned_evaluations(self.args, self._run()) else []
        check_course(sections, self.model, trained, evaluated, self._run())
        self.schedules = build_schedules(sections.schedules, list(sizes), self._run)
        follows = follows_evaluations(self.schedules, self.mixture.learner)
        splits = {"train": train, "eval": self.eval_dataset or {}}
        self.identity = identity_of(self.args, self.model.config, sections, splits, follows)
        self._scheduling = SchedulesCallback(
            self.schedules,
            lambda: FrozenGroups(self.model),
            Prober(self.model, self.train_collator, self.args.seed, self.processes, self._add_flops),
            self.mixture.learner,
            trained,
            self.signals,
        )
        check_ddp(self.args, len(sizes), self.task_gradients is None, self.schedules)
        check_builds(self)
        self.steps = self._new_steps(self.rows_per_step)
        speaks = self.is_world_process_zero()
        if speaks:
            say_doubts(self.mixture, self.schedules, self.model, self.args, self.args.window_steps)
        self.balance = BalanceWatch(list(sizes), self.weighting, speaks)
        self.add_callback(self.balance)
        self.add_callback(LogStepsCallback())
        self.add_callback(BalancingCallback(self.objective, self.after_update))
        self.add_callback(HeadsCallback(self.model, self.signals, self.processes.reduce_sum))
        self.add_callback(self._scheduling)
        encoder = self.model.encoder
        self.budget = Budget(lambda: any(p.requires_grad for p in encoder.parameters()), self._flops)
        self.add_callback(self.budget)
        if self.args.early_stopping_patience is not None:
            self.add_callback(
                EarlyStoppingCallback(self.args.early_stopping_patience, self.args.early_stopping_threshold)
            )

    def _set_up_balancing(self, spec: Spec) -> None:
        known = {
            "steps_per_epoch": self.steps_per_epoch,
            "total_steps": self.total_steps,
            "seed": self.args.seed,
        }
        self.weighting = make_weighting(spec, self.tasks, self.mixture, **known).to(self.args.device)
        aggregator, options = make_aggregator(spec, self.mixture, self.args.seed), spec.gradients
        several = len(self.mixture.sizes) > 1
        if aggregator is not None or (several and self.weighting.needs & OF_GRADIENTS):
            self.task_gradients = TaskGradients(
                self.model,
                list(self.mixture.sizes),
                self.weighting,
                aggregator,
                options,
                self.probe_batch,
                self.processes,
                self._backward,
                micro_batches=lambda: self.args.gradient_accumulation_steps,
                add_flops=self._add_flops,
            )
        if isinstance(aggregator, Teleporting) and self.task_gradients is not None:
            self.teleportation = Teleportation(
                self.model,
                aggregator,
                self.train_collator,
                self.args.seed,
                lambda: self.rows_per_step,
                lambda: self._step_batches,
                list(self.mixture.sizes),
                self.processes.reduce_sum,
                self._add_flops,
            )
            self.add_callback(self.teleportation)
        self.conflicts = ConflictLog(list(self.mixture.sizes))
        if aggregator is None and several and options.log_every:
            self.add_callback(
                SampledConflicts(
                    self.model,
                    self.train_collator,
                    self.args.seed,
                    self.args,
                    self.conflicts,
                    options,
                    self._add_flops,
                )
            )
        self._loss_pass = LossPass(
            self.model, list(self.mixture.sizes), self.args.device, self.processes.reduce_sum, self._count_forward
        )

    def hyperparameter_search(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse what builds its models with ``model_init``, which this Trainer does not take."""
        raise UserError(
            "hyperparameter_search: builds its models with model_init, which MultiTaskTrainer does not take. Make a "
            "model and a MultiTaskTrainer in every trial"
        )

    # ---- One optimizer step ----

    def _learns(self) -> bool:
        """The balancing parameters rest with the encoder, as in the few-task paper."""
        return "encoder" not in self._scheduling.frozen

    def _step_done(self, result: StepResult) -> None:
        self.finite.observe(self.state.global_step + 1, result)
        self.signals.observe(result)
        self.interruption.agree(float(result.votes))  # the device has been waited for just before
        self.balance.observe(result)
        if self._by_gradients and self.task_gradients is not None:
            self.task_gradients.record(self.conflicts.observe)
        self._scheduling.step_done(self.state.global_step, result)

    def _get_learning_rate(self) -> float:
        """The learning rate of the step, for the log."""
        return super()._get_learning_rate() * self._scheduling.rate_scale

    def _track_num_input_tokens(self, inputs: dict[str, Any]) -> None:
        """Count the tokens of all length groups, padding too where ``include_num_input_tokens_seen`` says so."""
        if self.args.include_num_input_tokens_seen == "no":
            return
        masks = [group["attention_mask"] for group in inputs["groups"]]
        real = self.args.include_num_input_tokens_seen == "non_padding"
        mine = sum(int(mask.sum()) if real else mask.numel() for mask in masks)
        tokens = self.processes.reduce_sum(torch.tensor(mine, device=self.args.device))
        self.state.num_input_tokens_seen += int(tokens)

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """The model's own count: the Trainer's asks for one rectangle of token ids."""
        return self.model.floating_point_ops(inputs)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """As the Trainer's, with the tasks' losses, weights, shares and learning signals beside ``loss``."""
        if self.is_in_train and "loss" in logs:
            logs = {**logs, **self.signals.flush(), **self.conflicts.flush(), **self.budget.record()}
            if self.task_gradients is not None and self.task_gradients.skipped_steps:
                logs["skipped_steps"] = self.task_gradients.skipped_steps
        if not self.is_in_train and self.ending is not None and self.ending.step != self.state.global_step:
            logs = {**logs, MODEL_STEP: self.ending.step}
        super().log(logs, start_time)

    # ---- Checkpoints ----

    def stateful(self) -> dict[str, checkpoints.Stateful]:
        """Everything that remembers and that the Trainer does not save itself, by name."""
        learner = {} if self.mixture.learner is None else {"temperature": self.mixture.learner}
        return {
            **super().stateful(),
            **learner,
            "steps": self.steps,
            "identity": self.identity,
            "schedules": self.schedules,
            "weighting": self.objective,
            **({} if self.task_gradients is None else {"task_gradients": self.task_gradients}),
            **({} if self.teleportation is None else {"teleportation": self.teleportation}),
            "signals": self.signals,
            "budget": self.budget,
            "conflicts": self.conflicts,
            "unfinished": self.unfinished,
        }

    @as_disable_tqdm_says
    def train(
        self, resume_from_checkpoint: str | bool | None = None, trial: Any = None, **kwargs: Any
    ) -> TrainOutput:
        """As the Trainer's. ``True`` resumes from the newest whole checkpoint of ``output_dir``.

        ``None`` resumes from ``args.resume_from_checkpoint``, if that is set.
        A second call that resumes nothing trains on from the model's weights, and is otherwise a new run: balancing,
        schedules, learned temperatures, early stopping and the optimizer begin anew, as in a new Trainer. (The
        Trainer of transformers would keep its optimizer's moments.) An optimizer that was given goes on.
        Temperatures that the model had are forgotten; with ``temperature_scaling`` it gets new ones in the end.
        With ``enable_jit_checkpoint`` a SIGTERM ends it after the step, with a checkpoint of that step. (The Trainer
        of transformers saves inside the step, and returns as if all was trained.)

        Raises:
            CheckpointError: If the checkpoint is damaged, or of another run; names the file.
            DivergedError: If losses or weights are not finite any more.
            Terminated: At SIGTERM with ``enable_jit_checkpoint``: a SystemExit with code 143.
        """
        asked = self.args.resume_from_checkpoint if resume_from_checkpoint is None else resume_from_checkpoint
        folder = self.checkpoint_to_resume(asked)
        forget_temperatures(self.model, self.tasks)
        self.ending, self._best_step = None, None
        with self._answering_signals():
            output = self._train_from(folder, trial, **kwargs)
            self._end()
            self._stop_after_the_last_step()
            if self.args.temperature_scaling:
                self.fit_temperatures()
        return output

    def _train_from(self, folder: Path | None, trial: Any, **kwargs: Any) -> TrainOutput:
        """Train from the beginning, or from a checkpoint if anything is left to do."""
        self.refuse_occupied(folder, self.total_steps)
        # What a run that broke off may have left: a step half done, and frozen what DDP is about to wrap.
        self.objective.abandon()
        self.finite.begin()
        self._scheduling.rest()
        if self.model_wrapped is self.model:
            unprepare(self.model)  # what another Trainer may have left
        self._forget_unlogged()
        if not self._beginning.noted:
            self._beginning.note(self._to_begin_anew())
        elif folder is None:
            self._begin_anew()
        if folder is None:
            self._rows_per_step = None
            self.steps = self._new_steps(self.rows_per_step)
            self.weighting.observe(steps_per_epoch=self.steps_per_epoch, total_steps=self.total_steps)
            return super().train(None, trial, **kwargs)
        stopped = self._adopt(folder)
        place = folder / "trainer_state.json"
        with checkpoints.reading(place, "the Trainer's state"):
            state = TrainerState.load_from_json(str(place))
            ended = state.global_step >= self.total_steps or (stopped and state.global_step < state.max_steps)
        if ended:
            return self._already_trained(folder, state)
        if self.is_world_process_zero():
            say_other_length(state.max_steps, self._run(), self.args, self.mixture, self.schedules)
        return super().train(str(folder), trial, **kwargs)

    def _adopt(self, folder: Path) -> bool:
        """Continue a checkpoint's run: its rows per step, on however many processes there are now.

        Returns:
            Whether that run had been told to stop, and is to stay so.
        """
        path = folder / checkpoints.STATE_FILE
        saved = checkpoints.load_state(path)
        with checkpoints.reading(path, "the state of the run"):
            rows = int(saved["steps"]["identity"]["rows_per_step"])
            stopped = bool(saved["callbacks"]["stopped"])
            asked = int(saved["identity"]["rows_of_process"])
        if rows != self.rows_per_step:
            self.identity.check_rows(asked, rows, self.processes.world)
            share = self.args.train_batch_size * self.processes.world
            self.args.gradient_accumulation_steps = math.ceil(rows / share)
            if self.is_world_process_zero():
                logger.warning(
                    f"The run has {rows} rows per step; on {self.processes.world} processes that is "
                    f"gradient_accumulation_steps={self.args.gradient_accumulation_steps}."
                )
            self._rows_per_step = rows
        if rows < self.processes.world * self.args.gradient_accumulation_steps:
            raise RunError(f"{rows} rows per step cannot be dealt to {self.processes.world} processes; use fewer")
        self.steps = self._new_steps(rows)
        self.weighting.observe(steps_per_epoch=self.steps_per_epoch, total_steps=self.total_steps)
        checkpoints.restore(path, self.stateful())
        return stopped and stays_stopped(self.budget, self.args, self.callback_handler.callbacks)

    def _already_trained(self, folder: Path, state: TrainerState) -> TrainOutput:
        """Restore a checkpoint that was the run's last; one more step would make another model of it."""
        logger.info(f"{folder} is the last checkpoint of a run that has ended; nothing is left to train.")
        self._load_from_checkpoint(str(folder))
        # The first process has written the state, and has said of itself that it is the first.
        state.is_world_process_zero = self.is_world_process_zero()
        state.is_local_process_zero = self.is_local_process_zero()
        self.state = state
        self._name_own_best()
        best = state.best_model_checkpoint
        if self.args.load_best_model_at_end and best is not None and os.path.isdir(best):
            self._load_best_model()
        return TrainOutput(state.global_step, 0.0, {})
