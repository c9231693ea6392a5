"""Settings of a pod that the tuner chooses."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

DEFAULT_BATCH_TOKENS: Final = (512, 1024, 2048, 4096, 8192)

_SIDECAR_MILLICPUS: Final = 250
"""The CPU request of the sidecar in values.yaml."""

_OVERSUBSCRIPTION: Final = 2
"""Maximum threads of all calls together, for each CPU."""


@dataclass(frozen=True, slots=True, order=True)
class PodSetup:
    """Settings of a pod.

    Attributes:
        precision: Precision of the model: fp32 or bf16.
        cpus: CPUs of the model server, which the sidecar shares in a measurement.
        calls: Calls to the model server at once, and TensorFlow's inter-op threads.
        threads: TensorFlow's threads inside an operation (intra-op).
        batch_tokens: Maximum padded tokens of a batch.
        onednn: Whether TensorFlow uses oneDNN's kernels.
        omp_threads: OMP_NUM_THREADS of the model server. 0 leaves it unset.
    """

    precision: str
    cpus: int
    calls: int
    threads: int
    batch_tokens: int = 2048
    onednn: bool = True
    omp_threads: int = 0

    def __str__(self) -> str:
        omp = f", OMP {self.omp_threads}" if self.omp_threads else ""
        return (
            f"{self.precision}, {self.cpus} CPUs, {self.calls} calls, {self.threads} threads, "
            f"{self.batch_tokens} tokens, oneDNN {'on' if self.onednn else 'off'}{omp}"
        )

    @property
    def sidecar_flags(self) -> list[str]:
        """Flags of the sidecar. --auto, because more threads than CPUs are refused otherwise."""
        return [f"--model-calls={self.calls}", f"--batch-tokens={self.batch_tokens}", "--auto"]

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables of the model server."""
        return {
            "UNDERTONE_TENSORFLOW_INTRA_OP_PARALLELISM": str(self.threads),
            "UNDERTONE_TENSORFLOW_INTER_OP_PARALLELISM": str(self.calls),
            "UNDERTONE_MODEL_SERVER_THREADS": str(self.threads),
            "TF_ENABLE_ONEDNN_OPTS": str(int(self.onednn)),
            **self._omp_variables,
        }

    @property
    def features(self) -> tuple[float, ...]:
        """Numbers for the search. Settings that act as factors are logarithms."""
        logarithms = (math.log2(value) for value in (self.cpus, self.calls, self.threads, self.batch_tokens))
        return (float(self.precision == "bf16"), *logarithms, float(self.onednn), math.log2(self.omp_threads or 0.5))

    @property
    def chart_values(self) -> dict[str, Any]:
        """The chart's values for this setup.

        The CPU requests of both containers add up to the CPUs, as in values.yaml.
        """
        resources = {"requests": {"cpu": f"{1000 * self.cpus - _SIDECAR_MILLICPUS}m"}, "limits": {"cpu": str(self.cpus)}}
        server: dict[str, Any] = {"resources": resources, "threadsPerCore": 1}
        if self.threads != max(1, self.cpus - self.calls + 1):  # the chart's own number
            server["extraArgs"] = [f"--tensorflow_intra_op_parallelism={self.threads}"]
        variables = self._omp_variables | ({} if self.onednn else {"TF_ENABLE_ONEDNN_OPTS": "0"})
        if variables:
            server["env"] = [{"name": name, "value": value} for name, value in variables.items()]
        return {
            "model": {"precision": self.precision},
            "sidecar": {"settings": {"model-calls": self.calls, "batch-tokens": self.batch_tokens}},
            "modelServer": server,
        }

    @property
    def _omp_variables(self) -> dict[str, str]:
        return {"OMP_NUM_THREADS": str(self.omp_threads)} if self.omp_threads else {}


def powers_of_two(maximum: int) -> list[int]:
    """1, 2, 4 and so on up to the maximum, which is included."""
    powers = [2**exponent for exponent in range(maximum.bit_length()) if 2**exponent < maximum]
    return [*powers, maximum]


def all_setups(
    *,
    precisions: Sequence[str],
    cpus: Sequence[int],
    calls: Sequence[int] = (),
    threads: Sequence[int] = (),
    batch_tokens: Sequence[int] = DEFAULT_BATCH_TOKENS,
    onednn: Sequence[bool] = (True, False),
    omp_threads: Sequence[int] = (0,),
) -> list[PodSetup]:
    """All combinations that a pod accepts, the default settings of a pod first.

    Without `calls` or `threads`, these are the powers of two up to the CPUs. A pod has at most as
    many calls as CPUs, and at most two threads for each CPU.
    """
    found = [
        PodSetup(precision, count, call, thread, tokens, use_onednn, omp)
        for precision, count, tokens, use_onednn, omp in itertools.product(precisions, cpus, batch_tokens, onednn, omp_threads)
        for call in calls or powers_of_two(count)
        for thread in threads or powers_of_two(count)
        if call <= count and (call * thread <= _OVERSUBSCRIPTION * count)
    ]
    return sorted(found, key=_distance_from_defaults)


def _distance_from_defaults(setup: PodSetup) -> tuple[float, ...]:
    one_call_per_cpu = abs(setup.calls - setup.cpus) + abs(setup.threads - 1)
    return (-setup.cpus, one_call_per_cpu, abs(math.log2(setup.batch_tokens / 2048)), not setup.onednn, setup.omp_threads)
