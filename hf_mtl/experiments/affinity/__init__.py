"""Which tasks should train together: affinities of tasks, measured on one joint run, and a proposal of groups.

The *affinity* of task i to task j says by what part j's loss drops when i joins. It is no measured gain of training:
`rank_agreement` says how well the two agree.
"""

from hf_mtl.experiments.affinity.agreement import Agreement, pair_gains, rank_agreement
from hf_mtl.experiments.affinity.grouping import group_value, propose_groups
from hf_mtl.experiments.affinity.matrix import AffinityMatrix
from hf_mtl.experiments.affinity.measure import Asked, find_affinity
from hf_mtl.experiments.affinity.proposal import read_proposal, write_proposal

__all__ = [
    "AffinityMatrix",
    "Agreement",
    "Asked",
    "find_affinity",
    "group_value",
    "pair_gains",
    "propose_groups",
    "rank_agreement",
    "read_proposal",
    "write_proposal",
]
