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

    def unmount(self) -> None:
        """Removes the disk from its folder, also while a process has a file open on it.

        Raises:
            AssertionError: A process has a file open. The disk is removed nevertheless, because
                pytest cannot delete a folder on which a disk is mounted.
        """
        done = subprocess.run(["umount", self.folder], check=False, capture_output=True, text=True)
        if done.returncode:
            subprocess.run(["umount", "--lazy", self.folder], check=True, capture_output=True)
            raise AssertionError(f"a file on the disk is still open: {done.stderr.strip()}")


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[SmallDisk]:
    """Creates `folder` and mounts a disk of this size on it.

    Skips the test if the process is not allowed to mount. After a block that succeeds, a file that
    is still open on the disk is an error. After a block that fails, only the failure is reported.
    """
    folder.mkdir()
    try:
        disk = SmallDisk(folder, kilobytes)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"cannot mount a tmpfs, which needs root: {error}")
    try:
        yield disk
    except BaseException as failure:
        try:
            disk.unmount()
        except AssertionError as error:
            failure.add_note(str(error))
        raise
    disk.unmount()
