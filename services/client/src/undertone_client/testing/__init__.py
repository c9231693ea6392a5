"""A service to test against: the public API over a real socket, with made-up emotions and scripted faults."""

from undertone_client.testing.answers import EMOTIONS, expected_probabilities
from undertone_client.testing.classifier import FakeClassifier
from undertone_client.testing.faults import Call, Fault, ItemFault
from undertone_client.testing.relay import Relay

__all__ = ["EMOTIONS", "Call", "FakeClassifier", "Fault", "ItemFault", "Relay", "expected_probabilities"]
