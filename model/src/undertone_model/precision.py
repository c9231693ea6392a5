"""In which arithmetic an export computes, and which of them suits a machine."""

from pathlib import Path
from typing import Final, Literal, TypeAlias

#: bf16: the products of the encoder's linear layers and of attention's values; what else there is stays in float32.
Precision: TypeAlias = Literal["fp32", "bf16"]

#: Flags of CPUs that multiply bf16 in hardware: AMX and AVX512-BF16. Others do it in software, slower than float32.
BF16_FLAGS: Final = frozenset({"amx_bf16", "avx512_bf16"})


def of_machine(cpuinfo: Path = Path("/proc/cpuinfo")) -> Precision:
    """The faster precision on this machine, by the flags in `cpuinfo`; fp32 where there is no such file."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return "fp32"
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    return "fp32" if BF16_FLAGS.isdisjoint(flags) else "bf16"
