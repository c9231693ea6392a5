"""Limits of control groups: CPU quota and memory (Linux kernel documentation: cgroup-v2, v1)."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

_UNLIMITED: Final = {"max", "-1"}


@dataclass(frozen=True, slots=True)
class _Mount:
    """A mounted cgroup hierarchy. The folder `mount_point` contains the control group `root`."""

    root: str
    mount_point: Path


def read_quota(root: Path) -> float | None:
    """CPUs that this process may use on average. None without a limit.

    The lowest limit of its control group and all parent groups applies. Reads cgroup v1 and v2,
    because a machine may have both. `root` contains /proc and /sys.
    """
    quotas = map(_read_folder_quota, _read_folders(root, "cpu"))
    return min((quota for quota in quotas if quota is not None), default=None)


def read_memory_limit(root: Path) -> int | None:
    """Bytes of memory that this process and the others of its control group may use.

    None without a limit. The arguments and limits are those of `read_quota`.
    """
    limits = map(_read_folder_memory, _read_folders(root, "memory"))
    return min((limit for limit in limits if limit is not None), default=None)


def _read_folders(root: Path, controller: str) -> Iterator[Path]:
    """Folders of the control groups that limit this process, parent groups included."""
    groups = dict(_read_groups(root, controller))
    return chain.from_iterable(
        _group_folders(mount, groups[version]) for version, mount in _read_mounts(root, controller) if version in groups
    )


def _read_groups(root: Path, controller: str) -> Iterator[tuple[int, str]]:
    """The process's control groups of a controller, with their cgroup version."""
    for line in _read_lines(root / "proc/self/cgroup"):
        _, controllers, group = line.split(":", 2)
        if not controllers:
            yield 2, group
        elif controller in controllers.split(","):
            yield 1, group


def _read_mounts(root: Path, controller: str) -> Iterator[tuple[int, _Mount]]:
    for line in _read_lines(root / "proc/self/mountinfo"):
        fields, _, filesystem_fields = line.partition(" - ")
        _, _, _, group, mount_point, *_ = fields.split()
        filesystem, _, options = filesystem_fields.split(maxsplit=2)
        mount = _Mount(group, root / mount_point.lstrip("/"))
        if filesystem == "cgroup2":
            yield 2, mount
        elif filesystem == "cgroup" and controller in options.split(","):
            yield 1, mount


def _group_folders(mount: _Mount, group: str) -> Iterator[Path]:
    """Folders of a control group and of the mounted groups above it."""
    # Without a cgroup namespace, a container sees the full path of its group, but only that group
    # is mounted.
    relative = group.removeprefix(mount.root.rstrip("/")).strip("/")
    folder = mount.mount_point / relative
    if ".." in relative.split("/") or not folder.is_dir():
        folder = mount.mount_point
    yield folder
    for parent in folder.parents:
        if not parent.is_relative_to(mount.mount_point):
            return
        yield parent


def _read_folder_quota(folder: Path) -> float | None:
    quota = " ".join(_read_lines(folder / "cpu.max")).split() or [
        *_read_lines(folder / "cpu.cfs_quota_us"),
        *_read_lines(folder / "cpu.cfs_period_us"),
    ]
    if len(quota) != 2 or quota[0] in _UNLIMITED:
        return None
    return int(quota[0]) / int(quota[1])


def _read_folder_memory(folder: Path) -> int | None:
    limits = [*_read_lines(folder / "memory.max"), *_read_lines(folder / "memory.limit_in_bytes")]
    if not limits or limits[0] in _UNLIMITED:
        return None
    return int(limits[0])


def _read_lines(path: Path) -> list[str]:
    """Lines of a file. Empty if there is no such file."""
    try:
        return path.read_text("utf-8").splitlines()
    except OSError:
        return []
