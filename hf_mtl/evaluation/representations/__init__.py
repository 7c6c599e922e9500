"""What features say: how alike two sets of them are, what a linear map reads off them, how they cluster.

Arrays in, numbers out: nothing here knows a model or a run.
"""

from hf_mtl.evaluation.representations.cka import cka_matrices, debiased_cka, linear_cka, minibatch_cka
from hf_mtl.evaluation.representations.clusters import cluster_agreement, silhouette
from hf_mtl.evaluation.representations.probes import Standardisation, probe_outputs, site_probe_outputs
from hf_mtl.evaluation.representations.subspaces import Subspace, SubspaceAlignment, subspace_alignment

__all__ = [
    "Standardisation",
    "Subspace",
    "SubspaceAlignment",
    "cka_matrices",
    "cluster_agreement",
    "debiased_cka",
    "linear_cka",
    "minibatch_cka",
    "probe_outputs",
    "silhouette",
    "site_probe_outputs",
    "subspace_alignment",
]
