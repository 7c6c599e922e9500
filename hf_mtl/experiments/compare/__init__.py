"""Did training together help? A study file becomes trials, which workers claim, run and record.

A trial is an ordinary run of an ordinary recipe in a folder of its own, so that kills, checkpoints and logs are those
of any run.
"""

from hf_mtl.experiments.compare.compare import compare, show
from hf_mtl.experiments.compare.load import Study, load_study
from hf_mtl.experiments.compare.schema import StudyFile, study_schema

__all__ = ["Study", "StudyFile", "compare", "load_study", "show", "study_schema"]
