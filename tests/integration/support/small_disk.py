"""A small file system, to test a full disk."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class SmallDisk:
    """A tmpfs of limited size, mounted on a folder."""

    def __init__(self, folder: Path, kilobytes: int) -> None:
        self.folder = folder
        self._mount(f"size={kilobytes}k")

    def grow(self, kilobytes: int) -> None:
        """Increases the size to `kilobytes`."""
        self._mount(f"remount,size={kilobytes}k")

    def _mount(self, options: str) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.folder], check=True, capture_output=True)


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[SmallDisk]:
    """Creates `folder` and mounts a disk of this size on it.

    Skips the test if the process is not allowed to mount.
    """
    folder.mkdir()
    try:
        disk = SmallDisk(folder, kilobytes)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"cannot mount a tmpfs, which needs root: {error}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", folder], check=True)  # fails if a file is still open
