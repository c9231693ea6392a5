"""The CPU time that control groups allow, as the kernel's files tell (admin-guide/cgroup-v2, cgroup-v1/cpu: CFS bandwidth)."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

_UNLIMITED: Final = {"max", "-1"}


@dataclass(frozen=True, slots=True)
class _Hierarchy:
    """A mounted hierarchy: the control group that is visible at `point` is `root`."""

    root: str
    point: Path


def read_quota(root: Path) -> float | None:
    """CPUs' worth of time that this process may use, by its own group or any above it; None if there is no limit.

    Both versions are asked, as machines in transition have both. `root` is where /proc and /sys are found.
    """
    own = dict(_groups(root))
    folders = chain.from_iterable(
        _upwards(hierarchy, own[version]) for version, hierarchy in _hierarchies(root) if version in own
    )
    return min((limit for folder in folders if (limit := _limit(folder)) is not None), default=None)


def _groups(root: Path) -> Iterator[tuple[int, str]]:
    """The version of a hierarchy that limits CPU time, and this process's group in it."""
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, group = line.split(":", 2)
        if not controllers:
            yield 2, group
        elif "cpu" in controllers.split(","):
            yield 1, group


def _hierarchies(root: Path) -> Iterator[tuple[int, _Hierarchy]]:
    for line in _lines(root / "proc/self/mountinfo"):
        mount, _, kind = line.partition(" - ")
        _, _, _, shown, point, *_ = mount.split()
        filesystem, _, options = kind.split(maxsplit=2)
        hierarchy = _Hierarchy(shown, root / point.lstrip("/"))
        if filesystem == "cgroup2":
            yield 2, hierarchy
        elif filesystem == "cgroup" and "cpu" in options.split(","):
            yield 1, hierarchy


def _upwards(hierarchy: _Hierarchy, group: str) -> Iterator[Path]:
    """The folder of a group and those of the groups above it, as far as they are mounted."""
    # A container without a namespace of its own sees its group by its full path, but only that group mounted.
    relative = group.removeprefix(hierarchy.root.rstrip("/")).strip("/")
    folder = hierarchy.point / relative
    if ".." in relative.split("/") or not folder.is_dir():
        folder = hierarchy.point
    yield folder
    for parent in folder.parents:
        if not parent.is_relative_to(hierarchy.point):
            return
        yield parent


def _limit(folder: Path) -> float | None:
    quota = " ".join(_lines(folder / "cpu.max")).split() or [
        *_lines(folder / "cpu.cfs_quota_us"),
        *_lines(folder / "cpu.cfs_period_us"),
    ]
    if len(quota) != 2 or quota[0] in _UNLIMITED:
        return None
    return int(quota[0]) / int(quota[1])


def _lines(path: Path) -> list[str]:
    """Of a file; no lines where there is no such file."""
    try:
        return path.read_text("utf-8").splitlines()
    except OSError:
        return []
