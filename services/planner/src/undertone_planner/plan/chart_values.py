"""The values of the chart that a plan depends on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

import yaml

from undertone_planner.errors import ValuesError
from undertone_planner.plan.quantities import parse_cpus, parse_memory

SYSTEM_CPUS: Final = 0.5
"""CPUs that a pod with whole physical cores does not request, so that nodes hold one pod more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartValues:
    """Values of the chart. The defaults are the chart's own.

    Attributes:
        autoscaler: `autoscaling.type`: hpa, keda or none.
        replicas: `autoscaling.replicas`, the number of pods of the type none.
        min_replicas, max_replicas: `autoscaling.minReplicas` and `maxReplicas`.
        cpu_percent: `autoscaling.cpuPercent`.
        sidecar_cpu_request, model_cpu_request: CPU requests.
        model_cpu_limit: CPU limit of the model server.
        sidecar_memory, model_memory: Memory requests in bytes.
        threads_per_core: `modelServer.threadsPerCore`.
        precision: `model.precision`: fp32, bf16 or auto.
        runner: `batch.runner`.
        executor_cores: `batch.executors.cores`: tasks, and so clients, of an executor.
        karpenter: `nodePool.karpenter.enabled`.
    """

    autoscaler: str = "hpa"
    replicas: int = 2
    min_replicas: int = 2
    max_replicas: int = 100
    cpu_percent: int = 70
    sidecar_cpu_request: float = 0.25
    model_cpu_request: float = 1.75
    model_cpu_limit: float = 2.0
    sidecar_memory: int = 512 * 2**20
    model_memory: int = 3584 * 2**20
    threads_per_core: int = 1
    precision: str = "auto"
    runner: str = "client"
    executor_cores: int = 1
    karpenter: bool = False

    @property
    def pod_cpus(self) -> float:
        """CPUs that a pod requests."""
        return self.sidecar_cpu_request + self.model_cpu_request

    @property
    def pod_memory(self) -> int:
        """Bytes of memory that a pod requests."""
        return self.sidecar_memory + self.model_memory

    @property
    def model_calls(self) -> int:
        """Calls to the model server at once, as the chart computes them."""
        return max(1, int(self.model_cpu_limit / self.threads_per_core))

    @property
    def smallest(self) -> int:
        """The number of pods without load."""
        return self.replicas if self.autoscaler == "none" else self.min_replicas

    @property
    def largest(self) -> int:
        """The largest number of pods."""
        return self.replicas if self.autoscaler == "none" else self.max_replicas

    def with_cores(self, cores: int, threads_per_core: int) -> Self:
        """The same with pods of `cores` physical cores, as docs/how-to/node-pools.md sizes them."""
        limit = float(cores * threads_per_core)
        return replace(self, model_cpu_limit=limit, model_cpu_request=limit - SYSTEM_CPUS, threads_per_core=threads_per_core)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a values file. Values that it does not set have the chart's defaults.

        Raises:
            ValuesError: The file cannot be read, or one of these values is invalid.
        """
        try:
            document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except OSError as error:
            raise ValuesError(f"--values {path} cannot be read: {error.strerror}") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValuesError(f"--values {path} is not YAML: {error}") from None
        if not isinstance(document, dict):
            raise ValuesError(f"--values {path} is not a map of values: use the file that you pass to helm")
        values: dict[str, Any] = {}
        for name, (key, convert) in _KEYS.items():
            found = _lookup(document, key)
            if found is None:
                continue
            try:
                values[name] = convert(found)
            except (ValueError, TypeError):
                raise ValuesError(f"--values {path}: {key} is {found!r}: use {_EXPECTED[convert]}") from None
        result = cls(**values)
        result.check(path)
        return result

    def check(self, path: Path) -> None:
        """Raises ValuesError if a value is out of its range, or values contradict each other."""
        if self.precision not in ("auto", "fp32", "bf16"):
            raise ValuesError(f"--values {path}: model.precision is {self.precision!r}: use auto, fp32 or bf16")
        if self.autoscaler not in ("hpa", "keda", "none"):
            raise ValuesError(f"--values {path}: autoscaling.type is {self.autoscaler!r}: use hpa, keda or none")
        if self.autoscaler != "none" and not 0 <= self.min_replicas <= self.max_replicas:
            raise ValuesError(
                f"--values {path}: autoscaling.minReplicas is {self.min_replicas} and maxReplicas is {self.max_replicas}: "
                "minReplicas must be at least 0 and must not exceed maxReplicas"
            )
        if self.autoscaler == "hpa" and self.min_replicas == 0:
            raise ValuesError(
                f"--values {path}: autoscaling.minReplicas is 0, but autoscaling.type is hpa, which cannot start the first "
                "pod: use keda, or a minimum of at least 1"
            )
        for name in ("model_cpu_request", "model_cpu_limit", "threads_per_core", "cpu_percent"):
            if getattr(self, name) <= 0:
                raise ValuesError(f"--values {path}: {_KEYS[name][0]} is {getattr(self, name)}: use a number above 0")


_EXPECTED: Final[Mapping[Any, str]] = {
    int: "an integer",
    str: "a text",
    bool: "true or false",
    parse_cpus: "a number of CPUs such as 2 or 1750m",
    parse_memory: "a size such as 3584Mi",
}
_KEYS: Final[Mapping[str, tuple[str, Any]]] = {
    "autoscaler": ("autoscaling.type", str),
    "replicas": ("autoscaling.replicas", int),
    "min_replicas": ("autoscaling.minReplicas", int),
    "max_replicas": ("autoscaling.maxReplicas", int),
    "cpu_percent": ("autoscaling.cpuPercent", int),
    "sidecar_cpu_request": ("sidecar.resources.requests.cpu", parse_cpus),
    "model_cpu_request": ("modelServer.resources.requests.cpu", parse_cpus),
    "model_cpu_limit": ("modelServer.resources.limits.cpu", parse_cpus),
    "sidecar_memory": ("sidecar.resources.requests.memory", parse_memory),
    "model_memory": ("modelServer.resources.requests.memory", parse_memory),
    "threads_per_core": ("modelServer.threadsPerCore", int),
    "precision": ("model.precision", str),
    "runner": ("batch.runner", str),
    "executor_cores": ("batch.executors.cores", int),
    "karpenter": ("nodePool.karpenter.enabled", bool),
}
"""The key in values.yaml of each field."""


def _lookup(document: Mapping[str, Any], key: str) -> Any:
    found: Any = document
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found
