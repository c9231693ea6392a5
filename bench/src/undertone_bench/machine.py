"""What a figure was taken on."""

import platform
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, Self

from undertone_sidecar.cpu import read_machine

_FLAGS: Final = re.compile(r"avx\w*|amx_\w+|fma")
_PACKAGES: Final = ("tensorflow-cpu", "tensorflow", "openvino", "grpcio", "tokenizers", "numpy")


@dataclass(frozen=True, slots=True)
class Environment:
    """The machine, and the versions of what was measured. `quota` is in CPUs, None without one."""

    cpu: str
    cpus: int
    cores: int
    quota: float | None
    instruction_set: str
    has_bf16: bool
    flags: tuple[str, ...]
    versions: dict[str, str]

    @classmethod
    def read(cls, root: Path = Path("/")) -> Self:
        """Of the machine that this runs on."""
        information = (root / "proc/cpuinfo").read_text(encoding="utf-8")
        machine = read_machine(root)
        return cls(
            cpu=_field(information, "model name"),
            cpus=machine.allowed,
            cores=machine.cores,
            quota=machine.quota,
            instruction_set=machine.instruction_set.label,
            has_bf16=machine.instruction_set.has_bf16,
            flags=tuple(sorted(flag for flag in _field(information, "flags").split() if _FLAGS.fullmatch(flag))),
            versions={"python": platform.python_version()} | _versions(),
        )

    def __str__(self) -> str:
        quota = "no quota" if self.quota is None else f"a quota of {self.quota:g} CPUs"
        named = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        return f"{self.cpu}, {self.instruction_set}, {self.cpus} CPUs ({self.cores} cores, {quota}); {named}"


def _field(information: str, name: str) -> str:
    found = re.search(rf"^{name}\s*:\s*(.*)$", information, re.MULTILINE)
    return " ".join(found[1].replace("(R)", "").split()) if found else "unknown"


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
