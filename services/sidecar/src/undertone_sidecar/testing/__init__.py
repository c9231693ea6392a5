"""Test doubles of the sidecar's dependencies, and a pod in one process."""

from undertone_sidecar.testing.backend import FakeBackend, FakeClock, probabilities
from undertone_sidecar.testing.model import LABELS, tiny_tokenizer, write_version
from undertone_sidecar.testing.pod import Pod, read_settings, running_pod
from undertone_sidecar.testing.simulated_model_server import SimulatedModelServer
from undertone_sidecar.testing.tf_serving import FakeTFServing

__all__ = [
    "LABELS",
    "FakeBackend",
    "FakeClock",
    "FakeTFServing",
    "Pod",
    "SimulatedModelServer",
    "probabilities",
    "read_settings",
    "running_pod",
    "tiny_tokenizer",
    "write_version",
]
