"""`transformers.Trainer` for several tasks: thin overrides that hand over to objects testable without a Trainer.

The journey of one row, from file to update; `training/trainer/step_trainer.py` hands its micro-batch to the step, and
`training/step/step.py` orders the calls of 6 to 9:

 1. `data/load.py` loads, checks and carves: `data/sources.py` reads the file, and the task's type in `task_types/`
    checks the label and makes it a number.
 2. `data/tokenize.py` turns the text into token ids in one flat array (`data/tokens.py`).
 3. `data/mixture.py` gives its task a probability, `data/plan.py` gives the step n_t rows of the task, and a
    seeded permutation says that it is this row's turn; `data/steps.py` hands out the plans, window by window.
 4. `data/dealing.py` deals the step's rows to processes and micro-batches, by number or by tokens, for
    `data/loader.py`.
 5. `data/collate.py` puts the row's tokens behind those of the rows before it, and says where they are in padded
    rectangles (`batch.py: Packed`). The loader adds what the plan says of the step (`StepFacts`).
 6. `modeling/row_features.py` has the encoder run on the packed rows, or on their rectangles where it does not pack
    (`modeling/encoder_layout.py`), and pools their tokens; `modeling/model.py` runs the task's head.
 7. The task's type makes one loss of the row.
 8. `training/step/objective.py` divides it by the mass of the task's rows in the step, and multiplies it by the
    task's exposure, weight and coefficient.
 9. The Trainer's backward adds it to the gradients, DDP and accumulation add up the partition's parts; where single
    tasks' gradients are wanted, `training/step/task_gradients.py` has them formed apart and decides what follows.
10. The Trainer clips, the optimizer steps; learned balancing parameters get their gradient from the reduced losses.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader
from transformers import EarlyStoppingCallback
from transformers.trainer_callback import TrainerState
from transformers.trainer_utils import TrainOutput

import hf_mtl.data.section as of_data
from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.balancing import Spec
from hf_mtl.data.collate import Collator
from hf_mtl.data.dealing import Deal
from hf_mtl.errors import Mistake, UserError
from hf_mtl.evaluation import Trust
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.progress import as_disable_tqdm_says, no_bars
from hf_mtl.reporting.card import CardFacts
from hf_mtl.reporting.log_keys import MODEL_STEP
from hf_mtl.shown import get_logger
from hf_mtl.signatures import Options
from hf_mtl.training import checkpoint as checkpoints
from hf_mtl.training.folder.fresh_folder import leaving_nothing
from hf_mtl.training.interruption import without_jit_checkpoint
from hf_mtl.training.schedules.planned_steps import plan_steps
from hf_mtl.training.scoring.calibration import forget_calibration
from hf_mtl.training.scoring.scorer import Scorer
from hf_mtl.training.step.preparation import unprepare
from hf_mtl.training.trainer.argument_checks import check_arguments, check_tuning, search_unused
from hf_mtl.training.trainer.beginning import Beginning
from hf_mtl.training.trainer.compilation import compiled_encoder, leave_model_as_it_is
from hf_mtl.training.trainer.ending import Ending, ended_by, stays_stopped
from hf_mtl.training.trainer.given import Given
from hf_mtl.training.trainer.horizon import say_other_length
from hf_mtl.training.trainer.own_card import facts_of_trainer
from hf_mtl.training.trainer.own_code import take_tokenizer
from hf_mtl.training.trainer.row_encoder import Datasets, RowEncoder
from hf_mtl.training.trainer.run_parts import RunParts, build_run_parts
from hf_mtl.training.trainer.saved_run import SavedRun, trainer_state
from hf_mtl.training.trainer.search import Made, first_model, search
from hf_mtl.training.trainer.sections import read_sections
from hf_mtl.training.trainer.setup import rest_kept
from hf_mtl.training.trainer.sharding import check_first
from hf_mtl.training.trainer.step_callback import LogStepsCallback
from hf_mtl.training.trainer.step_trainer import StepTrainer
from hf_mtl.training.trainer.task_checks import check_tasks
from hf_mtl.training.watch.budget import limit_steps

logger = get_logger(__name__)


class MultiTaskTrainer(StepTrainer):
    """A `transformers.Trainer` whose model has several heads and whose datasets are dictionaries by task.

    Args:
        model: The model; its config holds the tasks.
        args: The training arguments.
        train_dataset: ``{task: Dataset}`` with the columns that the tasks name (or ``input_ids``). A model of one
            task takes a plain Dataset too.
        eval_dataset: The same for evaluation.
        processing_class: The tokenizer; also as ``tokenizer``, with a FutureWarning.
        data: ``{"contamination": "warn", "drop", "error" or "off"}``: what is done about rows to evaluate on that
            are rows to train on too. ``trainer.overlaps`` has what was found. ``{"imbalance": {"ratio": {task:
            parts}}}`` draws training rows in a ratio; ``trainer.imbalance`` has how far they are from it.
        mixture: Options of `hf_mtl.data.Mixture`, such as ``{"temperature": 2.0}``.
        balancing: ``{"weighting": name or {"name": ..., options}, "aggregator": the same, "exposure": "rows" or
            "tasks", "exact_accumulation": bool, "gradients": options of `hf_mtl.balancing.GradientOptions`}``. None:
            equal weighting, rows.
        schedules: Schedules, each a name or ``{"type": name, options}``; they compose.
        allow_code: Whether code that the tasks' metrics name may be run: scripts, metrics of users of the Hub, and
            all that are not hf_mtl's own where the model was loaded from a file.
        kwargs: As in `transformers.Trainer`. ``model_init`` makes the model, and that of each trial of
            `hyperparameter_search`. ``compute_metrics`` is called for each task with its EvalPrediction (and
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
        data: Mapping[str, Any] | of_data.Spec | None = None,
        mixture: Mapping[str, Any] | Options | None = None,
        balancing: Mapping[str, Any] | Spec | None = None,
        schedules: Sequence[str | Mapping[str, Any] | Options] = (),
        allow_code: bool = False,
        **kwargs: Any,
    ):
        args = args or MultiTaskTrainingArguments(output_dir="tmp_trainer")
        processing_class = take_tokenizer(processing_class, kwargs)
        model_init = kwargs.pop("model_init", None)
        model = first_model(model, model_init, args)
        given_rows = {"train_dataset": train_dataset, "eval_dataset": eval_dataset}
        of_hf_mtl = {"data": data, "mixture": mixture, "balancing": balancing, "schedules": schedules}
        others = {**of_hf_mtl, "processing_class": processing_class, "allow_code": allow_code, **kwargs}
        self._made = Made.of(model_init, args, {**given_rows, **others}, MultiTaskTrainer.__init__)
        wrong: list[Mistake] = []
        sections = read_sections(data, mixture, balancing, schedules, wrong)
        check_arguments(model, args, kwargs, train_dataset is not None, type(self), wrong)
        assert model is not None
        tasks, trust = model.tasks, Trust.of(allow_code, named_by_user=not model.config.tasks_from_file)
        limit_steps(args)
        search_unused(args)
        check_tasks(args, tasks, train_dataset, eval_dataset, trust)
        scorer = Scorer(tasks, trust, model.config.taken_from_file)
        encoder = RowEncoder(model, processing_class)
        own, overridden = kwargs.get("compute_metrics"), type(self).evaluate is not MultiTaskTrainer.evaluate
        with no_bars(args.disable_tqdm):
            seed = args.seed if args.data_seed is None else args.data_seed
            given = Given.encoded(train_dataset, eval_dataset, encoder, tasks, sections.data, seed)
            given.check(scorer, args, own, overridden)
        if given.train is not None:
            check_tuning({name: model.config.task_objects[name] for name in given.train}, given.evaluation or {})
        rows = {"train_dataset": given.train, "eval_dataset": given.evaluation}
        with without_jit_checkpoint(args):
            super().__init__(
                scorer, encoder, model=model, args=args, **rows, processing_class=processing_class, **kwargs
            )
        if processing_class is not None:
            model.remember_tokenizer(processing_class)
        self.overlaps, self.imbalance = given.overlaps, given.imbalance
        self.ending: Ending | None = None
        self.tuned: dict[str, Any] = {}  # after the last training, by task
        self._best_step: int | None = None
        self._beginning = Beginning()
        if given.train is not None:
            rest_kept(model, given.train)  # before anything asks what is trained
            parts = build_run_parts(self, given.train, sections, self.train_collator(), self.flops)
            self._set_up_training(parts)

    def _set_up_training(self, parts: RunParts) -> None:
        """Take the parts that training needs, and have the Trainer call those that it is to call."""
        self.streams, self.mixture, self.course, self._feed = parts.streams, parts.mixture, parts.course, parts.feed
        self.schedules, self.identity, self.steps = parts.schedules, parts.identity, parts.steps
        self.take_parts(parts.methods, parts.of_steps, parts.beside)
        self.add_callback(LogStepsCallback())
        self.add_callback(self.step_callback)
        if self.args.early_stopping_patience is not None:
            patience, threshold = self.args.early_stopping_patience, self.args.early_stopping_threshold
            self.add_callback(EarlyStoppingCallback(patience, threshold))

    def create_accelerator_and_postprocess(self) -> None:
        """Make the accelerator, which compiles nothing: `train` compiles what can be."""
        super().create_accelerator_and_postprocess()
        leave_model_as_it_is(self.accelerator)

    def card_facts(self, name: str) -> CardFacts:
        """Return what the card of the model says: what is known of a run without a recipe."""
        return facts_of_trainer(self, name)

    def hyperparameter_search(
        self,
        hp_space: Any = None,
        compute_objective: Any = None,
        n_trials: int = 20,
        direction: str | list[str] | None = None,
        backend: Any = None,
        hp_name: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Search with optuna; each trial is a Trainer of its own, with a model of ``model_init``.

        Args:
            hp_space: Draws a trial's training arguments, ``mixture.KEY`` and ``balancing.KEY``, as a mapping.
            compute_objective: Makes the number that is looked at; None: ``eval_average``, to be maximized.
            n_trials: How many trials.
            direction: As in `transformers.Trainer`; None: ``minimize`` what ``compute_objective`` gives.
            backend: ``optuna``, or None for it.
            hp_name: Names a trial's folder in ``output_dir``; None: ``run-N``.
            kwargs: Of `optuna.create_study` and `optuna.Study.optimize`.

        Returns:
            The best trial, as `transformers.Trainer` gives it.
        """
        return search(self, self._made, hp_space, compute_objective, n_trials, direction, backend, hp_name, **kwargs)

    # ---- Rows ----

    def train_collator(self) -> Collator:
        """Make what makes batches of the training rows."""
        if self.train_dataset is None:
            raise UserError("training needs a train_dataset")
        collator = self.encoder.collator(self.train_dataset, self.args)
        collator.names_every_task = self.is_sharded
        return collator

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Give this process's micro-batches of the planned steps; not to be sharded again."""
        collator = self.train_collator()
        if self.task_gradients is not None:
            several = self.course.micro_batches > 1 or self.args.tokens_per_micro_batch is not None
            collator.arrangement = self.task_gradients.prepare(several)
        return self._feed.loader(self.steps, collator, self.encoder.train_limit(self.args))

    def deal(self) -> Deal:
        """Tell which rows of a step go where."""
        return self._feed.deal(self.encoder.train_limit(self.args))

    def end_workers(self) -> None:
        """End the processes that collate ahead, in a training that has ended before they had."""
        if self.train_dataset is not None:
            self._feed.close()

    def num_examples(self, dataloader: DataLoader[Any]) -> int:
        """Count the training rows of all tasks."""
        return sum(self.mixture.sizes.values())

    # ---- What is logged ----

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log the tasks' losses, weights, shares and learning signals beside ``loss``."""
        if self.is_in_train and "loss" in logs:
            logs = {**logs, **self.records.take(self.state)}
        elif "train_runtime" in logs:  # the last record of a training
            seconds, passes = round(self.budget.seconds, 4), self.budget.backward_passes
            logs = {**logs, "optimizer_runtime": seconds, "backward_passes": passes}
        if not self.is_in_train and self.ending is not None and self.ending.step != self.state.global_step:
            logs = {**logs, MODEL_STEP: self.ending.step}
        super().log(logs, start_time)

    # ---- Checkpoints ----

    def stateful(self) -> dict[str, checkpoints.Stateful]:
        """Name everything that remembers and that the Trainer does not save itself."""
        perhaps = {
            "temperature": self.mixture.learner,
            "task_gradients": self.task_gradients,
            "teleportation": self.teleportation,
            "beside": self.beside,
        }
        return {
            **super().stateful(),
            "steps": self.steps,
            "identity": self.identity,
            "schedules": self.scheduling,
            "weighting": self.objective,
            "signals": self.signals,
            "budget": self.budget,
            "conflicts": self.conflicts,
            **{name: part for name, part in perhaps.items() if part is not None},
        }

    def _load_best_model(self) -> None:
        """Load the best model, and note its step: where its checkpoint is gone, the last step's model stays."""
        super()._load_best_model()
        best = Path(str(self.state.best_model_checkpoint))
        if best.is_dir():
            self._best_step = checkpoints.step_of(best)

    # ---- A training from its beginning to its end ----

    @as_disable_tqdm_says
    def train(
        self, resume_from_checkpoint: str | bool | None = None, trial: Any = None, **kwargs: Any
    ) -> TrainOutput:
        """Train as the Trainer does. ``True`` resumes from the newest whole checkpoint of ``output_dir``.

        ``None`` resumes from ``args.resume_from_checkpoint``, if that is set.
        A second call that resumes nothing trains on from the model's weights, and is otherwise a new run: balancing,
        schedules, learned temperatures, early stopping and the optimizer begin anew, as in a new Trainer. (The
        Trainer of transformers would keep its optimizer's moments.) An optimizer that was given goes on.
        Temperatures that the trained tasks had are forgotten; with ``temperature_scaling`` they get new ones in the
        end. So are decisions such as tuned thresholds, which tasks that ask for them get anew.
        With ``enable_jit_checkpoint`` a SIGTERM ends it after the step, with a checkpoint of that step. (The Trainer
        of transformers saves inside the step, and returns as if all was trained.)

        Raises:
            CheckpointError: If the checkpoint is damaged, or of another run; names the file.
            DivergedError: If losses or weights are not finite any more.
            Terminated: At SIGTERM with ``enable_jit_checkpoint``: a SystemExit with code 143.
        """
        asked = self.args.resume_from_checkpoint if resume_from_checkpoint is None else resume_from_checkpoint
        folder = self.checkpoint_to_resume(asked)
        trained = list(self.train_dataset or ())
        forget_calibration(self.model, trained)
        self.forget_decisions(trained)
        self.tuned = {}
        self.ending, self._best_step = None, None
        with self._answering_signals():
            with compiled_encoder(self.model, self.args):
                output = self._train_from(folder, trial, **kwargs)
            self.ending = self._end()
            self._stop_after_the_last_step()
            of_trained = {name: rows for name, rows in (self.eval_dataset or {}).items() if name in trained}
            if self.args.temperature_scaling:
                self.calibrate(of_trained)
            if any(self.model.tasks[name].tuned_by for name in trained):
                self.tuned = self.tune(of_trained)
        return output

    def _train_from(self, folder: Path | None, trial: Any, **kwargs: Any) -> TrainOutput:
        """Train from the beginning, or from a checkpoint if anything is left to do."""
        course = self.course
        check_first(self)
        self.refuse_occupied(folder, course.total_steps)
        # What a run that broke off may have left: a step half done, and frozen what DDP is about to wrap.
        self.step_maker.abandon()
        self.finite.begin()
        self.scheduling.rest()
        if self.model_wrapped is self.model:
            unprepare(self.model)  # what another Trainer may have left
        self.records.forget()
        self.flops.pending = 0
        if self._beginning.begin(self._to_begin_anew(), anew=folder is None):
            self.renew_optimizer()
        if folder is None:
            course.begin()
            self._plan_anew()
            return super().train(None, trial, **kwargs)
        state, ended = trainer_state(folder, course.total_steps, self._adopt(folder))
        if ended:
            return self._already_trained(folder, state)
        if self.is_world_process_zero():
            say_other_length(state.max_steps, self.schedules.run, self.args, self.mixture, self.schedules)
        return super().train(str(folder), trial, **kwargs)

    def _plan_anew(self) -> None:
        """Begin the plan of the run at its first step, and tell the weighting how long it is."""
        self.steps = self.scheduling.steps = plan_steps(
            self.mixture, self.schedules, self.course, self.args, self.streams
        )
        self.weighting.observe(steps_per_epoch=self.course.steps_per_epoch, total_steps=self.course.total_steps)

    def _adopt(self, folder: Path) -> bool:
        """Continue a checkpoint's run: its rows per step, on however many processes there are now.

        Returns:
            Whether that run had been told to stop, and is to stay so.
        """
        saved = SavedRun.read(folder)
        if saved.rows_per_step != self.course.rows_per_step:
            self.identity.check_rows(saved.rows_of_process, saved.rows_per_step, self.processes.world)
        self.course.resume(saved.rows_per_step)
        self._plan_anew()
        checkpoints.restore(saved.path, self.stateful())
        return saved.stopped and stays_stopped(self.budget, self.args, self.callback_handler.callbacks)

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

    def _to_begin_anew(self) -> dict[str, checkpoints.Stateful]:
        """Return what remembers from one training to the next; steps and arguments are each one's own."""
        scaler = self.accelerator.scaler
        parts = {name: part for name, part in self.stateful().items() if name not in ("steps", "identity")}
        return parts if scaler is None else {**parts, "scaler": scaler}

    def _end(self) -> Ending:
        """Note how the run ended, and say what nobody would expect of it."""
        trained, planned = self.state.global_step, self.course.total_steps
        ending = Ending.of(
            self.state,
            self.args,
            self._best_step,
            planned_steps=planned,
            ended_by=ended_by(trained, planned, self.budget.used_up > 0, self.callback_handler.callbacks),
            skipped_steps=0 if self.task_gradients is None else self.task_gradients.skipped_steps,
            stopped=self.scheduling.end(self._best_step, self.optimizer),
        )
        if self.tells_notes and self.is_world_process_zero() and (said := ending.sentences()):
            logger.warning(" ".join(said))
        return ending
