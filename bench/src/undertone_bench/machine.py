"""Machine and package versions of a measurement."""

import platform
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, Self

from undertone_sidecar.cpu import read_machine

_PACKAGES: Final = ("tensorflow-cpu", "tensorflow", "openvino", "grpcio", "tokenizers", "numpy")


@dataclass(frozen=True, slots=True)
class Environment:
    """CPU, instruction set and package versions. `quota` is the cgroup's CPU limit, or None."""

    cpu: str
    cpus: int
    cores: int
    quota: float | None
    instruction_set: str
    has_bf16: bool
    versions: dict[str, str]

    @classmethod
    def read(cls, root: Path = Path("/")) -> Self:
        """Describe the machine whose /proc and /sys are below `root`."""
        machine = read_machine(root)
        return cls(
            cpu=_cpu_model((root / "proc/cpuinfo").read_text(encoding="utf-8")),
            cpus=machine.allowed,
            cores=machine.cores,
            quota=machine.quota,
            instruction_set=machine.instruction_set.label,
            has_bf16=machine.instruction_set.has_bf16,
            versions={"python": platform.python_version()} | _package_versions(),
        )

    def __str__(self) -> str:
        quota = "no quota" if self.quota is None else f"quota {self.quota:g} CPUs"
        versions = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        return f"{self.cpu}, {self.instruction_set}, {self.cpus} CPUs ({self.cores} cores, {quota}); {versions}"


def _cpu_model(cpuinfo: str) -> str:
    found = re.search(r"^model name\s*:\s*(.*)$", cpuinfo, re.MULTILINE)
    return " ".join(found[1].replace("(R)", "").split()) if found else "unknown CPU"


def _package_versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
