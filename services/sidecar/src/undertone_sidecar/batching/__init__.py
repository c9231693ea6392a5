"""Many callers' sequences into few Predict calls: which go together, whose turn it is, and who is refused."""

from undertone_sidecar.batching.batcher import MicroBatcher
from undertone_sidecar.batching.bounds import Bounds
from undertone_sidecar.batching.item import Batcher, Encoded, Lane, Scored

__all__ = ["Batcher", "Bounds", "Encoded", "Lane", "MicroBatcher", "Scored"]
