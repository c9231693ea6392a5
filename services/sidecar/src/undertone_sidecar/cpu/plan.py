"""Thread counts that go with each other and with the CPUs."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from undertone_sidecar.cpu.machine import Machine
from undertone_sidecar.cpu.settings import ThreadSettings

_MOST_TOKENIZERS: Final = 4
"""One thread tokenizes thousands of paragraphs a second, more than any model on the same machine can read."""

_SPARE_CALLS: Final = 8
"""Calls beside Predict that the model server must have threads for: questions about versions, health probes, operators."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Threads of the model server (`intra_op` inside an operation, `inter_op` between operations, `grpc_max_threads` for calls)
    and of the sidecar (`tokenizers`)."""

    intra_op: int
    inter_op: int
    grpc_max_threads: int
    tokenizers: int

    @property
    def model_server_flags(self) -> tuple[str, ...]:
        """As TF Serving and undertone-model-server know them."""
        return (
            f"--tensorflow_intra_op_parallelism={self.intra_op}",
            f"--tensorflow_inter_op_parallelism={self.inter_op}",
            f"--grpc_max_threads={self.grpc_max_threads}",
        )


def plan(machine: Machine, settings: ThreadSettings) -> Plan:
    """For a sidecar that has `machine`.

    A thread to a physical core: two threads of one core share its matrix unit, and gain nothing. A part of a CPU is no place
    for a thread either, as all threads of an operation wait for the slowest. Operations run one after the other, because a
    batch has as much work inside each as there are cores. Where sidecar and model server share the machine, half of it may
    tokenize beside the model, in bursts.
    """
    whole = max(1, int(machine.cpus))
    if settings.model_server_cpus:
        intra_op, tokenizers = max(1, int(settings.model_server_cpus)), whole
    else:
        intra_op, tokenizers = min(machine.cores, whole), max(1, whole // 2)
    return Plan(
        intra_op=intra_op,
        inter_op=1,
        grpc_max_threads=settings.calls + _SPARE_CALLS,
        tokenizers=min(_MOST_TOKENIZERS, tokenizers),
    )


def oversubscribed(machine: Machine, settings: ThreadSettings) -> Iterator[str]:
    """A sentence for each count in the settings that is more than its CPUs can run: the numbers, and the remedy.

    A part of a CPU counts as a whole one here, so that a limit of 1.5 may have the two threads that Kubernetes makes of it.
    """
    planned = plan(machine, settings)
    if settings.tokenizer_threads > math.ceil(machine.cpus):
        yield (
            f"--tokenizer-threads is {settings.tokenizer_threads}, but the sidecar has {machine}: "
            f"give {planned.tokenizers}, or 0 for as many as planned, or --auto"
        )
    told = settings.model_server_cpus
    if settings.model_server_threads > math.ceil(told or machine.cpus):
        has = f"{told:g} CPUs (--model-server-cpus)" if told else f"the sidecar's machine, {machine}"
        yield (
            f"the model server has {settings.model_server_threads} threads inside an operation (--model-server-threads), "
            f"but runs on {has}: start it with {planned.model_server_flags[0]}"
        )
