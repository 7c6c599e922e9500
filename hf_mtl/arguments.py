"""The training arguments: those of `transformers.TrainingArguments`, and a few that several tasks need."""

import dataclasses
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from transformers import TrainingArguments

from hf_mtl.argument_conflicts import conflicts
from hf_mtl.argument_fields import OPTION_FILES, unknown_arguments
from hf_mtl.argument_kinds import kind_mistakes, make_whole
from hf_mtl.argument_sharding import sharding_mistakes
from hf_mtl.batch import EncoderLayout
from hf_mtl.errors import Mistake, UserError
from hf_mtl.file_kinds import other_kind
from hf_mtl.launched import backend_mistakes, launched_compilation, launcher_mistakes

LEAST_OFTEN = 500
"""Steps between two records of the log in a long run that does not say how many."""
_MOST_BYTES = 1 << 20


@dataclass(repr=False)  # that of TrainingArguments leaves tokens out
class MultiTaskTrainingArguments(TrainingArguments):
    """`transformers.TrainingArguments` for several tasks.

    ``learning_rate`` is the encoder's. ``per_device_train_batch_size`` x processes x
    ``gradient_accumulation_steps`` is the number of rows per optimizer step, fixed when a run starts. It does not
    depend on it which of them share a micro-batch, nor how many micro-batches there are.
    ``optim`` also takes ``adamax`` (torch.optim.Adamax).

    Args:
        logging_steps: Steps between two records of the log; below 1 a share of the run. None: twenty records in a
            run, and one every 500 steps at least. (``eval_steps`` and ``save_steps`` keep their defaults.)
        head_learning_rate: Learning rate of the heads of tasks that say none of their own. None: ``learning_rate``.
        balancing_learning_rate: Learning rate of learned balancing parameters, such as UW's s. None: the
            optimizer's, which is ``learning_rate`` unless an optimizer was given.
        encoder_layout: How the rows of a micro-batch reach the encoder, which is the same to float tolerance.
            ``packed``: end to end, without padding. ``groups``: as a few padded rectangles of rows of similar length.
            ``padded``: as one rectangle, like `transformers.Trainer`. ``auto``: packed where a trial at set-up shows
            that the encoder makes of packed rows what it makes of each alone, else groups.
        group_cost: With ``groups``, the fixed cost of one more of them, in padded tokens that it must save. None: 64
            on a CPU; 16,384 on an accelerator, where a small group costs the time to start its kernels and hardly any
            arithmetic.
        tokens_per_micro_batch: Cut the rows of a step into micro-batches of at most this many tokens, in place of
            ``gradient_accumulation_steps``: ``per_device_train_batch_size`` x processes is then the number of rows
            per step, and every process has as many micro-batches in a step as any other, in another step more or
            fewer.
            Padding counts, if there is any; a longer row is a micro-batch of its own. None: so many rows each.
        per_device_eval_batch_size: Rows of a batch on each device at evaluation and prediction. None: as many as
            ``eval_tokens_per_batch`` allows.
        eval_tokens_per_batch: Tokens of a batch on each device at evaluation and prediction, at most, where padding
            counts if there is any; a longer row is a batch of its own. Rows of similar length are together, and
            scores do not depend on it. None: as ``per_device_eval_batch_size`` says, and without that 1,024 on a CPU
            and 32,768 on an accelerator.
        fsdp: Whether each process holds a part of the model (FSDP2); its options are in ``fsdp_config``.
        window_steps: Optimizer steps between two changes of the mixture.
        dataloader_persistent_workers: Whether workers, which collate ahead in processes of their own, live as long as
            the training; false: they end with each epoch, and others begin with the next.
        max_backward_passes: Train for as many steps as make at most this many backward passes (micro-batches of a
            process). Like ``max_steps``, of which the smaller wins, it sets the length of the run in place of
            ``num_train_epochs``. A step of an alternating schedule counts like any other, whatever it trains; what
            schedules measure on the way does not count, nor what a balancing method adds (``sam_mtl``, ``cost``);
            ``max_flops`` counts all of it. None: no limit.
        max_flops: Stop after the step in which this many floating point operations are reached, forward and backward,
            over all processes, extra passes included. The learning rate's schedule does not know of it. None: no
            limit.
        early_stopping_patience: Stop after this many evaluations without a better
            ``metric_for_best_model``. None: never.
        early_stopping_threshold: Smallest change that counts as better.
        temperature_scaling: After training, fit one temperature per classification task on the validation split and
            store it in the model: confidences then say how often the model is right. Predictions stay the same.
        refit_statistics: Give a model that was trained before the target statistics and class weights of its new
            rows. Otherwise it keeps its own, with a warning where they are far off. Its heads predict in standard
            deviations from the mean, so that predicted targets move with the statistics. What is resumed keeps those
            of its checkpoint.
    """

    logging_steps: float | None = field(
        default=None,
        metadata={
            "help": "Steps between two records of the log; below 1 a share of the run. None: twenty records in a run."
        },
    )
    head_learning_rate: float | None = field(
        default=None, metadata={"help": "Learning rate of the heads. None: learning_rate."}
    )
    balancing_learning_rate: float | None = field(
        default=None, metadata={"help": "Learning rate of learned balancing parameters. None: learning_rate."}
    )
    encoder_layout: EncoderLayout = field(
        default="auto",
        metadata={
            "help": "How rows reach the encoder: packed, in groups of similar length, or padded to one length."
        },
    )
    group_cost: int | None = field(
        default=None,
        metadata={
            "help": "Fixed cost of one more length group, in padded tokens that it must save. None: by the device."
        },
    )
    tokens_per_micro_batch: int | None = field(
        default=None,
        metadata={
            "help": "Most tokens of a micro-batch: the rows of a step are cut by them. None: so many rows each."
        },
    )
    per_device_eval_batch_size: int | None = field(
        default=None,
        metadata={"help": "Rows of a batch at evaluation, on each device. None: by eval_tokens_per_batch."},
    )
    eval_tokens_per_batch: int | None = field(
        default=None,
        metadata={
            "help": "Most tokens of a batch at evaluation, on each device. None: by the rows, or else by the device."
        },
    )
    fsdp: bool | str | None = field(
        default=None, metadata={"help": "Give each process a part of the model (FSDP2); its options: fsdp_config."}
    )
    window_steps: int = field(default=50, metadata={"help": "Optimizer steps between two changes of the mixture."})
    dataloader_persistent_workers: bool = field(
        default=True, metadata={"help": "Whether workers live as long as the training; false: as an epoch."}
    )
    max_backward_passes: int | None = field(
        default=None, metadata={"help": "Stop after this many backward passes. None: no limit."}
    )
    max_flops: float | None = field(
        default=None, metadata={"help": "Stop after this many floating point operations. None: no limit."}
    )
    early_stopping_patience: int | None = field(
        default=None,
        metadata={"help": "Stop after this many evaluations without a better metric_for_best_model."},
    )
    early_stopping_threshold: float = field(
        default=0.0, metadata={"help": "Smallest change of metric_for_best_model that counts as better."}
    )
    temperature_scaling: bool = field(
        default=False,
        metadata={"help": "After training, fit one temperature per classification task on the validation split."},
    )
    refit_statistics: bool = field(
        default=False,
        metadata={"help": "Renew the target statistics and class weights of a model that was trained before."},
    )

    def __post_init__(self) -> None:
        make_whole(self, MultiTaskTrainingArguments)
        if vars(self)["report_to"] is None:  # transformers would look for a report of that name
            self.report_to = "none"
        self._refuse()
        # The Trainer checks `optim` against its own list; adamax joins it through the optimizer hook.
        adamax = str(vars(self)["optim"]) == "adamax"
        if adamax:
            self.optim = "adamw_torch"
        by_default = self.logging_steps is None
        if by_default:
            self.logging_steps = LEAST_OFTEN  # what the Trainer's own default is, for `eval_steps` falls back to it
        try:
            super().__post_init__()
        except (ValueError, TypeError, ArithmeticError, OSError, ImportError) as error:
            raise UserError(_of_transformers(error, vars(self))) from error
        if by_default:
            self.logging_steps = None
        if adamax:
            self.optim = "adamax"
        self._take_launched()

    @property
    def eval_batch_size(self) -> int | None:
        """Rows of a batch at evaluation; None: as many as the tokens allow."""
        return self.per_device_eval_batch_size

    def _take_launched(self) -> None:
        """Say in the arguments how `accelerate launch` lets the model compute: accelerate does so in any case.

        Without it, what asks the arguments does not know: a resumed run of another precision would not be refused,
        and a backend that compiles nothing would fail at the first step.
        """
        given = vars(self)
        if not (given["fp16"] or given["bf16"]):
            self.fp16, self.bf16 = self.mixed_precision == "fp16", self.mixed_precision == "bf16"
        backend, mode = launched_compilation()
        if not given["torch_compile"] and backend is not None:
            self.torch_compile, self.torch_compile_backend = True, backend
        if given["torch_compile"] and given["torch_compile_mode"] is None:
            self.torch_compile_mode = mode

    def _refuse(self) -> None:
        """Refuse what transformers would fail at, or act upon, while it reads the arguments.

        Raises:
            UserError: With all of it at once.
        """
        given = vars(self)
        mistakes = [
            *launcher_mistakes(fsdp=bool(given["fsdp"]), deepspeed=bool(given["deepspeed"])),
            *backend_mistakes(self.ddp_backend),
            *(list(_files(given)) or sharding_mistakes(given)),
        ]
        of_kind = list(kind_mistakes(self, MultiTaskTrainingArguments))
        mistakes += of_kind or conflicts(vars(self))  # what is no number cannot be compared
        if mistakes:
            raise UserError(mistakes)


def _of_transformers(error: Exception, options: Mapping[str, Any]) -> Mistake:
    """Name the argument that transformers refuses in words of its own, such as a precision the device has not."""
    words = [word.replace("_", "").lower() for word in re.findall(r"\w+", str(error))]  # also AcceleratorConfig
    given = {name.replace("_", ""): name for name, value in options.items() if value}
    named = next((given[word] for word in words if word in given), None)
    return Mistake(f"training.{named}" if named else "training", " ".join(str(error).split()).rstrip("."))


def _files(options: Mapping[str, Any]) -> Iterator[Mistake]:
    """Find what is no file of options, before transformers reads it: a device never ends."""
    for key in OPTION_FILES:
        path = options[key]
        if not isinstance(path, str) or path.lstrip().startswith("{"):
            continue  # the options themselves
        if not os.path.exists(path):
            yield Mistake(f"training.{key}", f"no file '{path}'", "Give a JSON file, or a mapping of options.")
            continue
        found = os.stat(path)
        if kind := other_kind(found.st_mode):
            yield Mistake(f"training.{key}", f"'{path}' is {kind}, not a file", "Give a JSON file.")
        elif found.st_size > _MOST_BYTES:
            problem = f"'{path}' has {found.st_size:,} bytes"
            yield Mistake(f"training.{key}", problem, f"Allowed: a JSON file of at most {_MOST_BYTES:,}.")


def _with_hints(arguments: type[MultiTaskTrainingArguments]) -> None:
    """Let the class say of an argument that it does not have what takes its place."""
    initialise = arguments.__init__

    @wraps(initialise)
    def __init__(self: MultiTaskTrainingArguments, *args: Any, **options: Any) -> None:
        fields = [field.name for field in dataclasses.fields(self) if field.init]
        if mistakes := unknown_arguments(options, fields):
            raise UserError(mistakes)
        initialise(self, *args, **options)

    arguments.__init__ = __init__  # type: ignore[method-assign]


_with_hints(MultiTaskTrainingArguments)
