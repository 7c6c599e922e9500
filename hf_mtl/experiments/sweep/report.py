"""The report of a sweep that has ended: ``answer.json`` and its figure, and its tables from these files alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_mtl.errors import Mistake, UserError
from hf_mtl.experiments.results import Record, Results
from hf_mtl.experiments.sweep.figure import sweep_figure
from hf_mtl.experiments.sweep.tables import answer_tables
from hf_mtl.foreign_json import read_object
from hf_mtl.reporting.json_files import write_json_atomic

RECORD = "sweep.json"
"""What a sweep is, in its folder."""
RESULTS = "results.jsonl"
ANSWER = "answer.json"


def write_answer(folder: Path, found: Mapping[str, Any], records: Sequence[Record], startup: int) -> None:
    """Write ``answer.json`` and the figure of a sweep.

    Args:
        folder: The sweep's folder.
        found: As `answer` returns it.
        records: Its results.
        startup: Trials before TPE.
    """
    write_json_atomic(folder / ANSWER, found)
    draw(folder, found, records, startup)


def draw(folder: Path, found: Mapping[str, Any], records: Sequence[Record], startup: int) -> None:
    """Draw the figure of a sweep; arguments as above."""
    figures = folder / "figures"
    figures.mkdir(exist_ok=True)
    sweep_figure(figures / "sweep.png", found, [record for record in records if record["kind"] == "trial"], startup)


def report_again(folder: Path) -> str:
    """Draw the figure of a sweep again, and return its tables.

    Args:
        folder: The sweep's folder.

    Raises:
        UserError: If its answer is not there.
        CheckpointError: If a file is damaged; names it.
    """
    path = folder / ANSWER
    found = read_object(path) if path.exists() else {}
    arms = found.get("arms")
    if not isinstance(arms, dict) or not arms or not all("search" in arm for arm in arms.values()):
        problem = f"{folder}: a sweep whose answer is not in {ANSWER}: it has not ended, or the file is another's"
        remedy = "Start it again: hf-mtl sweep FILE runs what is left and answers, with --list it says how far it is"
        raise UserError(Mistake("", problem, remedy))
    records = Results(folder / RESULTS).all()
    draw(folder, found, records, int(read_object(folder / RECORD)["startup"]))
    later = sum(record["kind"] == "trial" for record in records) - sum(_trials(arm) for arm in arms.values())
    more = f"\n\n{later} trials have ended since: hf-mtl sweep FILE answers with them." if later > 0 else ""
    return f"{answer_tables(found)}{more}"


def _trials(arm: Mapping[str, Any]) -> int:
    return sum(arm["states"].values())
