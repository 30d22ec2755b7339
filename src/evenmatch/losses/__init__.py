"""The threshold-consistent margin loss and what wraps it.

TCMLoss regularises any base loss (WithTCM), AdaptiveTCMLoss does so with margins that follow the data. Base losses
come by name (build), and in a distributed run the batches of all processes are joined (gather). Needs the `train`
extra.
"""

try:
    import torch  # noqa: F401
except ImportError as error:
    from evenmatch.errors import MissingExtraError

    raise MissingExtraError("torch", "train", "evenmatch.losses") from error

from evenmatch.losses._adaptive_tcm import AdaptiveTCMLoss
from evenmatch.losses._build import available, build
from evenmatch.losses._gather import gather
from evenmatch.losses._recall_at_k import RecallAtKLoss
from evenmatch.losses._smooth_ap import SmoothAPLoss
from evenmatch.losses._tcm import TCMLoss, TCMStats
from evenmatch.losses._unified_threshold import UnifiedThresholdLoss
from evenmatch.losses._with_tcm import WithTCM, WithTCMStats

__all__ = [
    "AdaptiveTCMLoss",
    "RecallAtKLoss",
    "SmoothAPLoss",
    "TCMLoss",
    "TCMStats",
    "UnifiedThresholdLoss",
    "WithTCM",
    "WithTCMStats",
    "available",
    "build",
    "gather",
]
