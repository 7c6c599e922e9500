"""Models that nobody has trained together: the encoders of single-task runs of one beginning become one encoder.

They are contenders of a study for free, see `merged_records`. Every task keeps the head of its own run.
"""

from hf_mtl.experiments.merging.arithmetic import METHODS, SCALES
from hf_mtl.experiments.merging.merge import merge
from hf_mtl.experiments.merging.records import merged_folder, merged_identity, merged_in, merged_records
from hf_mtl.experiments.merging.refusals import merging_mistakes

__all__ = [
    "METHODS",
    "SCALES",
    "merge",
    "merged_folder",
    "merged_identity",
    "merged_in",
    "merged_records",
    "merging_mistakes",
]
