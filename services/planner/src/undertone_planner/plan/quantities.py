"""Quantities of Kubernetes and durations, as numbers and as text."""

import re
from typing import Final

MIB: Final = 2**20

_SUFFIXES: Final = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": MIB, "Gi": 2**30, "Ti": 2**40}
_MEMORY: Final = re.compile(r"(\d+(?:\.\d+)?)(k|M|G|T|Ki|Mi|Gi|Ti)?")
_CPU: Final = re.compile(r"(\d+(?:\.\d+)?)(m)?")
_SECONDS: Final = {"d": 86400, "h": 3600, "m": 60, "min": 60, "s": 1}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(min|[dhms])\s*")


def parse_cpus(value: object) -> float:
    """CPUs of a quantity such as 2, "1.5" or "1750m". Raises ValueError."""
    found = _CPU.fullmatch(str(value).strip())
    if found is None:
        raise ValueError(f"{value!r} is not a number of CPUs: use for example 2 or 1750m")
    return float(found[1]) / (1000 if found[2] else 1)


def parse_memory(value: object) -> int:
    """Bytes of a quantity such as "3584Mi". Raises ValueError."""
    found = _MEMORY.fullmatch(str(value).strip())
    if found is None:
        raise ValueError(f"{value!r} is not a size of memory: use for example 3584Mi or 4Gi")
    return round(float(found[1]) * _SUFFIXES[found[2] or ""])


def parse_duration(text: str) -> float:
    """Seconds of a duration such as 96h, 4d, 90m or 1h30m. Raises ValueError."""
    position, seconds = 0, 0.0
    stripped = text.strip()
    while found := _DURATION.match(stripped, position):
        seconds += float(found[1]) * _SECONDS[found[2]]
        position = found.end()
    if position != len(stripped) or seconds <= 0:
        raise ValueError(f"{text!r} is not a duration: use for example 96h, 4d, 90m or 1h30m")
    return seconds


def cpu_text(cpus: float) -> str:
    """The shortest quantity, such as 2 or 1750m."""
    return f"{cpus:.0f}" if cpus == int(cpus) else f"{round(cpus * 1000)}m"


def counted(number: int, noun: str) -> str:
    """Such as 1 client or 2 clients."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def duration_text(seconds: float) -> str:
    """Such as 42 s, 12 min, 5.4 h or 87.9 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
