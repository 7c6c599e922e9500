"""The only room that knows transformers.Trainer; a recipe becomes a run here."""

from hf_mtl.training.evaluate_run import evaluate_run
from hf_mtl.training.planning import plan_recipe
from hf_mtl.training.prepare import output_dir
from hf_mtl.training.run import run_recipe
from hf_mtl.training.trainer import MultiTaskTrainer

__all__ = ["MultiTaskTrainer", "evaluate_run", "output_dir", "plan_recipe", "run_recipe"]
