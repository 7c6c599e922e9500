"""What was found of rows that are both scored and trained on, in numbers; light enough for a report to import."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Overlap:
    """Rows of a split that stand in the training rows of a task.

    Args:
        task: The task whose rows are scored.
        split: Their split.
        rows: How many these are.
        found: How many of them stand there.
        trained: The task that trains on them.
        trained_rows: How many training rows they stand in.
        dropped: Whether these training rows were taken out.
        examples: A few of the rows, as they can be shown.
    """

    task: str
    split: str
    rows: int
    found: int
    trained: str
    trained_rows: int
    dropped: bool = False
    examples: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the counts, as ``results.json`` keeps them: without texts of the data."""
        return {name: value for name, value in asdict(self).items() if name != "examples"}
