"""Thread counts of the pod's two processes that fit the CPUs and each other."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from undertone_telemetry.options import IntegerRange

from undertone_sidecar.cpu.machine import Machine
from undertone_sidecar.options import Cpus, boolean_option, option

_MAX_TOKENIZERS: Final = 4
"""Maximum number of threads that tokenize. Each tokenizes thousands of paragraphs a second."""

_SPARE_CALLS: Final = 8
"""Additional threads of the model server: one that accepts calls (TF Serving runs one call fewer
than it has threads), and threads for calls about versions, for warm-up calls, and for runs that go
on after the deadline of their call.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadSettings:
    """Settings that determine thread counts, of `undertone-sidecar` and of its command `plan`."""

    model_calls: int = field(
        default=0,
        metadata=option(
            "Maximum calls to the model server in flight. 0 = automatic: the number of the model "
            "server's CPUs. 1 gives all CPUs to each call.",
            IntegerRange(0, 4096),
            "CALLS",
        ),
    )
    tokenizer_threads: int = field(
        default=0,
        metadata=option(
            "Threads that tokenize. 0 = automatic; `undertone-sidecar plan` prints the number.",
            IntegerRange(0, 64),
            "THREADS",
        ),
    )
    model_server_cpus: float = field(
        default=0.0,
        metadata=option(
            "CPUs of the model server's container, such as 2 or 1500m. 0 = the model server shares the sidecar's CPUs.",
            Cpus(),
            "CPUS",
        ),
    )
    threads_per_core: int = field(
        default=0,
        metadata=option(
            "Hardware threads of a physical core, to plan one call for each physical core: 2 for nodes with "
            "hyper-threading whose CPUs are all in use. 0 = automatic: one call for each CPU of a limit or quota, "
            "but not more than the physical cores that this process may use.",
            IntegerRange(0, 8),
            "THREADS",
        ),
    )
    model_server_threads: int = field(
        default=0,
        metadata=option(
            "Threads of an operation (intra_op) with which the model server was started. The sidecar checks that "
            "they fit the model server's CPUs. 0 = unknown.",
            IntegerRange(min=0),
            "THREADS",
        ),
    )
    auto: bool = field(
        default=False, metadata=boolean_option("Correct thread counts that exceed the CPUs, instead of refusing to start.")
    )


@dataclass(frozen=True, slots=True)
class ThreadPlan:
    """Thread counts of sidecar and model server.

    Attributes:
        model_calls: Maximum calls to the model server in flight.
        intra_op: The model server's threads inside an operation.
        inter_op: The model server's threads between operations.
        grpc_max_threads: The model server's threads for gRPC calls. It runs one call fewer.
        tokenizers: The sidecar's threads that tokenize.
    """

    model_calls: int
    intra_op: int
    inter_op: int
    grpc_max_threads: int
    tokenizers: int

    @property
    def model_server_flags(self) -> tuple[str, ...]:
        """Flags of TF Serving and undertone-dev-server."""
        return (
            f"--tensorflow_intra_op_parallelism={self.intra_op}",
            f"--tensorflow_inter_op_parallelism={self.inter_op}",
            f"--grpc_max_threads={self.grpc_max_threads}",
        )


def plan_threads(machine: Machine, settings: ThreadSettings) -> ThreadPlan:
    """Plans the threads of a pod whose sidecar runs on `machine`.

    There is one thread for each physical core: two hardware threads share the matrix unit of their
    core, so a second thread gains nothing. Fractions of a CPU are rounded down, because all threads
    of an operation wait for the slowest.

    A quota of two CPUs is two hardware threads. The kernel runs them on two physical cores while
    cores are idle, and on one if other pods use all hardware threads of the node. The plan cannot
    see the other pods, so it counts each CPU of a quota as a core unless `threads_per_core` is set.

    There are as many calls in flight as cores, and one thread computes each call. If several
    threads computed a call, all of them would wait for the slowest after each operation. These
    waits take most of the time if a call has few tokens. If there are fewer calls than cores, the
    remaining cores work inside operations; all calls share these threads.

    If sidecar and model server share the machine, tokenization may use half of it in bursts.
    """
    whole_cpus = max(1, int(machine.cpus))
    if settings.model_server_cpus:
        server_cpus, tokenizers = int(settings.model_server_cpus), whole_cpus
    else:
        server_cpus, tokenizers = min(machine.cores * (settings.threads_per_core or 1), whole_cpus), max(1, whole_cpus // 2)
    cores = max(1, server_cpus // (settings.threads_per_core or 1))
    calls = min(settings.model_calls, _max_server_threads(machine, settings)) or cores
    return ThreadPlan(
        model_calls=calls,
        intra_op=max(1, cores - calls + 1),
        inter_op=calls,
        grpc_max_threads=calls + _SPARE_CALLS,
        tokenizers=min(_MAX_TOKENIZERS, tokenizers),
    )


def oversubscription(machine: Machine, settings: ThreadSettings) -> Iterator[str]:
    """Error messages for thread counts in the settings that exceed the CPUs.

    Fractions of a CPU are rounded up, so that a limit of 1.5 CPUs allows the two threads that
    Kubernetes derives from it.
    """
    planned = plan_threads(machine, settings)
    if settings.tokenizer_threads > math.ceil(machine.cpus):
        yield (
            f"--tokenizer-threads is {settings.tokenizer_threads}, but the sidecar has {machine}: "
            f"use {planned.tokenizers}, or 0 for the planned number, or --auto"
        )
    server_cpus, max_threads = settings.model_server_cpus, _max_server_threads(machine, settings)
    server = f"{server_cpus:g} CPUs (--model-server-cpus)" if server_cpus else f"the sidecar's CPUs: {machine}"
    if settings.model_calls > max_threads:
        yield (
            f"--model-calls is {settings.model_calls}, with one thread each, but the model server runs on {server}: "
            "use 0 for the planned number, or --auto"
        )
    if settings.model_server_threads > max_threads:
        yield (
            f"--model-server-threads is {settings.model_server_threads}, but the model server runs on {server}: "
            f"start it with {planned.model_server_flags[0]}"
        )


def _max_server_threads(machine: Machine, settings: ThreadSettings) -> int:
    return math.ceil(settings.model_server_cpus or machine.cpus)
