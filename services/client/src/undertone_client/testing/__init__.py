"""A fake service for tests: the public API over a socket, with scripted faults."""

from undertone_client.testing.classifier import EMOTIONS, FakeClassifier, expected_probabilities
from undertone_client.testing.faults import Call, Fault, ItemFault
from undertone_client.testing.relay import Relay

__all__ = ["EMOTIONS", "Call", "FakeClassifier", "Fault", "ItemFault", "Relay", "expected_probabilities"]
