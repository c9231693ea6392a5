"""Which of the instruction sets that matter to matrix products a CPU has."""

import re
from enum import Enum
from pathlib import Path


class InstructionSet(Enum):
    """From the fastest; each with the flags by which /proc/cpuinfo knows it, all of which are needed."""

    AMX = "AMX", ("amx_tile", "amx_bf16")
    AVX512_BF16 = "AVX512-BF16", ("avx512_bf16",)
    AVX512_VNNI = "AVX512-VNNI", ("avx512_vnni",)
    AVX512 = "AVX512", ("avx512f",)
    AVX_VNNI = "AVX-VNNI", ("avx_vnni", "avx2")
    AVX2 = "AVX2", ("avx2",)
    GENERIC = "generic", ()

    def __init__(self, label: str, flags: tuple[str, ...]) -> None:
        self.label = label
        self.flags = flags

    @property
    def has_bf16(self) -> bool:
        """Whether products of bfloat16 are computed in hardware: in software they are slower than those of float32."""
        return self in (InstructionSet.AMX, InstructionSet.AVX512_BF16)


def read_instruction_set(root: Path) -> InstructionSet:
    """The fastest that this machine's CPU has; GENERIC where it does not tell, or is no x86."""
    try:
        information = (root / "proc/cpuinfo").read_text("utf-8")
    except OSError:
        return InstructionSet.GENERIC
    found = re.search(r"^flags\s*:(.*)$", information, re.MULTILINE)
    flags = set(found[1].split()) if found else set()
    return next(known for known in InstructionSet if flags.issuperset(known.flags))
