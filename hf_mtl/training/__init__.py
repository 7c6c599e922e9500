"""The only room that knows transformers.Trainer; a recipe becomes a run here."""

from hf_mtl.training.run.closing import redraw_run
from hf_mtl.training.run.evaluate import evaluate_run
from hf_mtl.training.run.plan import plan_recipe
from hf_mtl.training.run.prepare import output_dir
from hf_mtl.training.run.push import push_run
from hf_mtl.training.run.train import run_recipe
from hf_mtl.training.trainer.trainer import MultiTaskTrainer

__all__ = ["MultiTaskTrainer", "evaluate_run", "output_dir", "plan_recipe", "push_run", "redraw_run", "run_recipe"]
