"""Models: retrain from many random weights, widen, and know whether local minima hurt.

PyTorch models need the extra `torch`; models written in JAX do not.
"""

from descentlab.models.alignment import Alignment, align
from descentlab.models.between import Between, between
from descentlab.models.curvature import Curvature, curvature
from descentlab.models.ensemble import Ensemble
from descentlab.models.objectives import objective
from descentlab.models.retrain import retrain
from descentlab.models.sharpness import Sharpness, sharpness
from descentlab.models.slices import Slice, slice  # noqa: A004 – used as dl.models.slice
from descentlab.models.widen import Widening, widen

__all__ = [
    "Alignment",
    "Between",
    "Curvature",
    "Ensemble",
    "Sharpness",
    "Slice",
    "Widening",
    "align",
    "between",
    "curvature",
    "objective",
    "retrain",
    "sharpness",
    "slice",
    "widen",
]
