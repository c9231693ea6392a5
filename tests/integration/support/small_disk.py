"""A disk that is soon full."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class SmallDisk:
    """A file system in memory, mounted on a folder."""

    def __init__(self, folder: Path, kilobytes: int) -> None:
        self.folder = folder
        self._mount(f"size={kilobytes}k")

    def grow(self, kilobytes: int) -> None:
        """Make room."""
        self._mount(f"remount,size={kilobytes}k")

    def _mount(self, options: str) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.folder], check=True, capture_output=True)


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[SmallDisk]:
    """A disk of that size on `folder`, which is made; the test is skipped where it may not be
    mounted.
    """
    folder.mkdir()
    try:
        disk = SmallDisk(folder, kilobytes)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small disk cannot be mounted, which only root may do: {error}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", folder], check=True)  # which fails if a file was left open
