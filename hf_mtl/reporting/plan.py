"""Plan of a run in numbers: training fills it in, and `hf-mtl plan` shows it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hf_mtl.data.draws import Draw
from hf_mtl.data.imbalance import Imbalance
from hf_mtl.data.overlap_counts import Overlap


@dataclass(frozen=True)
class TaskPlan:
    """One task's part in a run.

    Args:
        name: The task.
        rows: Training rows.
        share: Expected share of all rows drawn, in [0, 1], over the whole run. (With schedules: as this seed draws
            them. What is learned, or follows evaluations, stays as it begins.)
        rows_per_step: Expected rows in an optimizer step, over the whole run.
        passes: Expected number of times that each of its rows is seen.
        truncated_rows: Training rows longer than the task may have them, and cut.
        mean_tokens: Tokens per row after truncation, on average.
        unknown_share: Share of its training texts' tokens that the tokenizer does not know, in [0, 1].
        cut: How it cuts its texts, where it says so itself; empty: as the model does.
    """

    name: str
    rows: int
    share: float
    rows_per_step: float
    passes: float
    truncated_rows: int
    mean_tokens: float
    unknown_share: float
    cut: str = ""


@dataclass(frozen=True)
class StreamPlan:
    """Tasks that share rows.

    Args:
        name: The stream.
        tasks: Its tasks.
        rows: Its training rows.
        rows_per_step: Expected rows in an optimizer step.
        encoded_apart: Whether each row is encoded once for every task, as gradients of single tasks want it.
    """

    name: str
    tasks: tuple[str, ...]
    rows: int
    rows_per_step: float
    encoded_apart: bool


@dataclass(frozen=True)
class SplitCensus:
    """One split of a task. Two texts are the same whatever their case, punctuation and blanks.

    Args:
        rows: Its rows; those without a label are none.
        repeated: Rows whose text an earlier row of the split has.
        shared: Rows whose text a split before it has, by that split.
        relabelled: Rows whose text has another label elsewhere in the task.
    """

    rows: int
    repeated: int = 0
    shared: Mapping[str, int] = field(default_factory=dict)
    relabelled: int = 0

    @property
    def is_plain(self) -> bool:
        """Tell whether each of its texts is there once, here and in the splits before."""
        return not (self.repeated or self.relabelled or any(self.shared.values()))


@dataclass(frozen=True)
class TaskCensus:
    """The splits of a task.

    Args:
        name: The task.
        splits: Each of its splits.
        classes: Rows of each class, by split, in id order; empty for a task without classes.
        weighted: Whether the task weighs its classes.
        weights_key: The key that does; None: its type has none.
        unknown: Rows that do not tell of a label or target, by split; only of those that have some.
    """

    name: str
    splits: Mapping[str, SplitCensus]
    classes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    weighted: bool = False
    weights_key: str | None = None
    unknown: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class PlanSummary:
    """A whole run.

    Args:
        tasks: Its tasks, in the recipe's order.
        rows_per_step: Rows in an optimizer step, over all processes, where schedules drop none.
        steps: Optimizer steps.
        epochs: The same in epochs; one is ceil(rows / rows_per_step) steps.
        trainable_parameters: Parameters that are trained.
        total_parameters: All parameters of the model.
        real_tokens: Tokens of the steps that were measured.
        padded_tokens: What the encoder computes for them, padding included where its layout has any.
        encoder_layout: How rows reach the encoder, and why.
        micro_batches: Fewest and most micro-batches of each process in one of the steps that were measured.
        schedules: What each schedule will do, a line each.
        kept: What becomes of the tasks that are kept from the backbone and not trained; empty where there are none.
        heads: What tasks ask of their own heads beside the kind, a line each.
        looks: What looking at the tasks' gradients for the mixture will cost; empty where nothing does.
        data: The rows, classes and repeated texts of each task's splits; empty where nobody has counted.
        overlaps: Which rows to score stand in training rows of any task; None where nobody has looked.
        streams: Tasks that share rows.
        draws: The keys that left training rows of a task out, by task.
        imbalance: The ratio in which the training rows were drawn; None: in none.
    """

    tasks: tuple[TaskPlan, ...]
    rows_per_step: int
    steps: int
    epochs: float
    trainable_parameters: int
    total_parameters: int
    real_tokens: int
    padded_tokens: int
    encoder_layout: str
    micro_batches: tuple[int, int] = (1, 1)
    schedules: tuple[str, ...] = ()
    looks: str = ""
    kept: str = ""
    heads: tuple[str, ...] = ()
    data: tuple[TaskCensus, ...] = ()
    overlaps: tuple[Overlap, ...] | None = None
    streams: tuple[StreamPlan, ...] = ()
    draws: Mapping[str, tuple[Draw, ...]] = field(default_factory=dict)
    imbalance: Imbalance | None = None
