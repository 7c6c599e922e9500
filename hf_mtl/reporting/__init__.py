"""Reports: results become tables and figures."""

from hf_mtl.reporting.figures import mixture_figure, training_figure
from hf_mtl.reporting.json_files import append_jsonl, read_jsonl, rewind_jsonl, write_json_atomic
from hf_mtl.reporting.plan import PlanSummary, TaskPlan
from hf_mtl.reporting.plan_table import plan_table
from hf_mtl.reporting.reliability import reliability_figure
from hf_mtl.reporting.tables import results_table

__all__ = [
    "PlanSummary",
    "TaskPlan",
    "append_jsonl",
    "mixture_figure",
    "plan_table",
    "read_jsonl",
    "reliability_figure",
    "results_table",
    "rewind_jsonl",
    "training_figure",
    "write_json_atomic",
]
