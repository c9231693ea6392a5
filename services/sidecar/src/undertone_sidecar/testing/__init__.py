"""Doubles of what the sidecar depends on, for its tests and for those of programs around it."""

from undertone_sidecar.testing.backend import FakeBackend, FakeClock, probabilities
from undertone_sidecar.testing.model import LABELS, tiny_tokenizer, write_version
from undertone_sidecar.testing.pod import Pod, pod
from undertone_sidecar.testing.tf_serving import FakeTFServing

__all__ = [
    "LABELS",
    "FakeBackend",
    "FakeClock",
    "FakeTFServing",
    "Pod",
    "pod",
    "probabilities",
    "tiny_tokenizer",
    "write_version",
]
