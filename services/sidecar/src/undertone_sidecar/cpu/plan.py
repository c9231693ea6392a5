"""Thread counts that go with each other and with the CPUs."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from undertone_sidecar.cpu.machine import Machine
from undertone_sidecar.cpu.settings import PASSTHROUGH, ThreadSettings

_MOST_TOKENIZERS: Final = 4
"""One thread tokenizes thousands of paragraphs a second, more than any model on the same machine can read."""

_PASSTHROUGH_CALLS: Final = 16
"""What a model server that makes the batches itself may choose from."""

_SPARE_CALLS: Final = 8
"""Calls beside Predict that the model server must have threads for: questions about versions, health probes, operators."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`calls` to the model server at once; its threads (`intra_op` inside an operation, `inter_op` between operations,
    `grpc_max_threads` for calls), and the sidecar's (`tokenizers`)."""

    calls: int
    intra_op: int
    inter_op: int
    grpc_max_threads: int
    tokenizers: int

    @property
    def model_server_flags(self) -> tuple[str, ...]:
        """As TF Serving and undertone-dev-server know them."""
        return (
            f"--tensorflow_intra_op_parallelism={self.intra_op}",
            f"--tensorflow_inter_op_parallelism={self.inter_op}",
            f"--grpc_max_threads={self.grpc_max_threads}",
        )


def plan(machine: Machine, settings: ThreadSettings) -> Plan:
    """For a sidecar that has `machine`.

    A thread to a physical core: two threads of one core share its matrix unit, and gain nothing. A part of a CPU is no place
    for a thread either, as all threads of an operation wait for the slowest.

    As many calls at once as there are cores, each computed by one thread: nobody waits for a slower thread after each of some
    hundred operations, which with few tokens is most of the time. With fewer calls, the rest of the cores helps inside
    operations: those threads serve all calls, which bring one each. A model server that makes the batches itself gets all
    cores inside operations, and decides on the rest.

    Where sidecar and model server share the machine, half of it may tokenize beside the model, in bursts.
    """
    whole = max(1, int(machine.cpus))
    if settings.model_server_cpus:
        cores, tokenizers = max(1, int(settings.model_server_cpus)), whole
    else:
        cores, tokenizers = min(machine.cores, whole), max(1, whole // 2)
    if settings.batching == PASSTHROUGH:
        calls, inter_op = settings.model_calls or _PASSTHROUGH_CALLS, 1
    else:
        calls = inter_op = min(settings.model_calls, _runnable(machine, settings)) or cores
    return Plan(
        calls=calls,
        intra_op=max(1, cores - inter_op + 1),
        inter_op=inter_op,
        grpc_max_threads=calls + _SPARE_CALLS,
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
    told, runnable = settings.model_server_cpus, _runnable(machine, settings)
    runs_on = f"{told:g} CPUs (--model-server-cpus)" if told else f"the sidecar's machine, {machine}"
    if settings.batching != PASSTHROUGH and settings.model_calls > runnable:
        yield (
            f"--model-calls is {settings.model_calls}, each with a thread of its own, but the model server runs on {runs_on}: "
            "give 0 for as many as planned, or --auto"
        )
    if settings.model_server_threads > runnable:
        yield (
            f"the model server has {settings.model_server_threads} threads inside an operation (--model-server-threads), "
            f"but runs on {runs_on}: start it with {planned.model_server_flags[0]}"
        )


def _runnable(machine: Machine, settings: ThreadSettings) -> int:
    """Threads that the model server's CPUs can run, a part of a CPU counted as a whole one."""
    return math.ceil(settings.model_server_cpus or machine.cpus)
