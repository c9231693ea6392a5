"""What the fake answers: emotions made up from a hash of the text."""

import hashlib

import grpc
from undertone_protos.v1 import classifier_pb2 as pb

from undertone_client.testing.faults import ItemFault

EMOTIONS = ("joy", "sadness", "anger", "fear", "anticipation", "surprise", "love", "disgust", "neutral")
MAX_TOKENS = 512


def expected_probabilities(text: str, labels: int = len(EMOTIONS)) -> tuple[float, ...]:
    """What the fake answers for `text`: the same for the same text, in every process and on every machine."""
    weights = [byte + 1 for byte in hashlib.shake_256(text.encode()).digest(labels)]
    return tuple(weight / sum(weights) for weight in weights)


def answer(text: str, policy: pb.OverlengthPolicy.ValueType, labels: int) -> pb.Classification | ItemFault:
    """The classification of a text, or why there is none. Tokens are words plus two."""
    if not text.strip():
        return ItemFault(grpc.StatusCode.INVALID_ARGUMENT, "the text is empty")
    tokens = len(text.split()) + 2
    long = tokens > MAX_TOKENS
    if long and policy == pb.OVERLENGTH_POLICY_REJECT:
        return ItemFault(grpc.StatusCode.INVALID_ARGUMENT, f"{tokens} tokens, the model reads {MAX_TOKENS}")
    truncated = long and policy == pb.OVERLENGTH_POLICY_TRUNCATE
    probabilities = expected_probabilities(text, labels)
    return pb.Classification(
        label_index=probabilities.index(max(probabilities)),
        probabilities=probabilities,
        tokens=tokens,
        truncated=truncated,
        chunks=1 if truncated else -(-tokens // MAX_TOKENS),
    )
