"""What trained encoders have learned: `hf-mtl diagnose`, on checkpoints of a run and between runs."""

from hf_mtl.experiments.diagnose.diagnosis import diagnose_runs, write_diagnosis
from hf_mtl.experiments.diagnose.summary import diagnosis_text

__all__ = ["diagnose_runs", "diagnosis_text", "write_diagnosis"]
