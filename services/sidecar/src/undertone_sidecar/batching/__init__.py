"""Forms batches for the model server: selection, fair sharing of lanes, admission control."""

from undertone_sidecar.batching.admission import BatchLimits
from undertone_sidecar.batching.batcher import MicroBatcher
from undertone_sidecar.batching.request import Lane, Request, Scored

__all__ = ["BatchLimits", "Lane", "MicroBatcher", "Request", "Scored"]
