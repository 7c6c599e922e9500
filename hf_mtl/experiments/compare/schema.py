"""The study file: what is compared, by how many runs, at which budget."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, ValidationInfo, field_validator

from hf_mtl.experiments.file_schema import Folder, file_schema
from hf_mtl.experiments.verdict import SMALLEST
from hf_mtl.tasks.fields import Frozen

SINGLE_TASK = "single_task"
"""What an arm is called, or says of itself, that trains each task alone."""

GROUPS = "groups"
"""What an arm says that trains tasks in groups."""

Budget: TypeAlias = Literal["steps", "backward_passes", "flops", "seconds"]
MOST_RUNS = 1_000_000
"""A study of more runs is a slip of the pen: all of them are listed, and each has files in one folder."""

_Seed: TypeAlias = Annotated[int, Field(ge=0, lt=2**32)]
Seeds: TypeAlias = Annotated[int, Field(ge=1, le=MOST_RUNS)] | Annotated[list[_Seed], Field(min_length=1)]
ArmFile: TypeAlias = Literal["single_task"] | dict[str, Any]


class BudgetFile(Frozen):
    """What all arms may spend: as much as the base recipe does."""

    equal: Budget = Field(
        "steps",
        description="What is equal in all arms: optimizer steps, backward_passes (micro-batches), flops, or seconds "
        "of optimizer time. The single-task runs of one seed share what one joint run may spend.",
    )


class StudyFile(Frozen):
    """A study as its file says it."""

    base: str = Field(description="The recipe that every arm begins with, relative to the study's file.")
    set: dict[str, Any] = Field(
        default_factory=dict,
        description="Keys of the recipe to replace in all arms, dotted or nested: {training.max_steps: 400}.",
    )
    arms: dict[str, ArmFile] = Field(
        min_length=1,
        description="What is compared, by name: single_task (one run for each task), or keys of the recipe to "
        "replace ({} for the base itself), with extends: FILE for recipes on top of the base. With "
        "single_task: true beside them, each task alone; with groups: [[a, b], [c]], or the file of a proposal of "
        "hf-mtl affinity, one run for each group.",
    )
    reference: str | None = Field(
        None,
        description="The arm that others are compared with. Default: a single-task arm if any, else the first.",
    )
    seeds: Seeds = Field(3, description="Number of seeds, from 0, or a list of them.")
    budget: BudgetFile = Field(default_factory=BudgetFile, description="What all arms may spend: {equal: flops}.")
    smallest: float = Field(
        SMALLEST, gt=0, allow_inf_nan=False, description="Smallest difference of interest, in points."
    )
    folds: int | None = Field(
        None,
        ge=2,
        le=MOST_RUNS,
        description="Deal all rows of each task out in so many folds, each of which is test once a seed.",
    )
    repeats: int = Field(1, ge=1, le=MOST_RUNS, description="How many times they are dealt out anew.")
    merging: list[str] = Field(
        default_factory=list,
        description="Contenders made without training of the single-task runs, of the reference where there are "
        "several such arms: average, task_arithmetic, ties.",
    )
    baselines: bool = Field(
        False,
        description="Score the majority class and TF-IDF with a linear model too, in the runs of the reference, and "
        "the language model that the recipe, or set, names: set: {baselines: {llm: {model: ...}}}.",
    )
    keep: Literal["models", "checkpoints"] = Field(
        "models", description="What is left of a finished run: its model, or its checkpoints too."
    )
    slurm: dict[str, Any] = Field(
        default_factory=dict,
        description="With --executor slurm: parameters of submitit's jobs, {timeout_min: 600, slurm_partition: gpu}.",
    )
    output_dir: Folder = Field("runs/study", description="Folder of the study, relative to the current one.")

    @field_validator("baselines", mode="before")
    @classmethod
    def _is_no_section(cls, value: Any) -> Any:
        if isinstance(value, dict):
            raise ValueError("true or false; what the recipe says under baselines goes under set: {baselines: ...}")
        return value

    @field_validator("seeds")
    @classmethod
    def _are_different(cls, value: int | list[int]) -> int | list[int]:
        if isinstance(value, list) and len(set(value)) < len(value):
            raise ValueError("different seeds")
        return value

    @field_validator("repeats")
    @classmethod
    def _repeats_folds(cls, value: int, info: ValidationInfo) -> int:
        if value > 1 and info.data.get("folds", 0) is None:
            raise ValueError("1 without folds, as nothing is dealt out: give folds too, or more seeds")
        return value

    @property
    def runs_of_a_part(self) -> int:
        """Return how many runs each recipe of an arm has."""
        seeds = self.seeds if isinstance(self.seeds, int) else len(self.seeds)
        return seeds * (self.folds or 1) * self.repeats

    @property
    def seed_list(self) -> list[int]:
        """Return the seeds."""
        return list(range(self.seeds)) if isinstance(self.seeds, int) else list(self.seeds)


def study_schema() -> dict[str, Any]:
    """Build the JSON Schema of study files, for completion and checks in editors."""
    return file_schema(StudyFile, "study")
