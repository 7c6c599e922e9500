"""Data: datasets are loaded, tokenised, mixed, planned and collated to steps."""

from hf_mtl.data.annealing import annealed_temperature
from hf_mtl.data.mixture import Mixture
from hf_mtl.data.plan import MixtureState, Planner, StepPlan, partition

__all__ = ["Mixture", "MixtureState", "Planner", "StepPlan", "annealed_temperature", "partition"]
