"""Task coefficients and trainable groups at step t: plain values in, plain values out.

Add a schedule as one file with a `Schedule` subclass, and one test; its keyword arguments are its recipe options.
"""

from hf_mtl.schedules.base import Effect, FreedRows, Group, Probe, Run, Schedule
from hf_mtl.schedules.composition import Schedules, frozen_out, unwatched
from hf_mtl.schedules.cost import compression_rate, executed_cost, nominal_cost
from hf_mtl.schedules.registry import available_schedules, build_schedule, schedule_class

__all__ = [
    "Effect",
    "FreedRows",
    "Group",
    "Probe",
    "Run",
    "Schedule",
    "Schedules",
    "available_schedules",
    "build_schedule",
    "compression_rate",
    "executed_cost",
    "frozen_out",
    "nominal_cost",
    "schedule_class",
    "unwatched",
]
