"""A fake service for tests: the public API over a socket, with scripted faults."""

from undertone_client.testing.classifier import (
    EMOTIONS,
    FakeClassifier,
    expected_independent_probabilities,
    expected_probabilities,
)
from undertone_client.testing.faults import Fault, ItemFault, ReceivedCall
from undertone_client.testing.relay import Relay

__all__ = [
    "EMOTIONS",
    "FakeClassifier",
    "Fault",
    "ItemFault",
    "ReceivedCall",
    "Relay",
    "expected_independent_probabilities",
    "expected_probabilities",
]
