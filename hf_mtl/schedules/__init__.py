"""Task coefficients and trainable groups at step t: plain values in, plain values out.

Add a schedule as one file with a `Schedule` subclass, and one test; its keyword arguments are its recipe options.
"""

from hf_mtl.schedules.base import SCHEDULES, Effect, FreedRows, ParameterGroup, Probe, Run, Schedule, Stop, register
from hf_mtl.schedules.composition import Schedules, run_of
from hf_mtl.schedules.cost import compression_rate, executed_cost, nominal_cost
from hf_mtl.schedules.section import Facts, Parts, Spec, build_schedule, build_schedules, mistakes, parse

__all__ = [
    "SCHEDULES",
    "Effect",
    "Facts",
    "FreedRows",
    "ParameterGroup",
    "Parts",
    "Probe",
    "Run",
    "Schedule",
    "Schedules",
    "Spec",
    "Stop",
    "build_schedule",
    "build_schedules",
    "compression_rate",
    "executed_cost",
    "mistakes",
    "nominal_cost",
    "parse",
    "register",
    "run_of",
]
