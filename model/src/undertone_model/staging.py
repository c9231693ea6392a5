"""A version folder that appears complete or not at all, also if the process or machine crashes."""

import contextlib
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from undertone_model.errors import ExportError

_STAGING_NAME: Final = re.compile(r"\.[0-9]+\.writing(-[0-9a-f]+)?")
"""Names of folders that are being written. TF Serving takes only integers for versions."""


@contextlib.contextmanager
def staged(target: Path) -> Iterator[Path]:
    """Yields a new folder beside `target`, and renames it to `target` after the block.

    The files are on the disk before the rename. If the block raises, the folder is removed. Folders
    that killed processes have left are removed; a process that still writes holds a lock on its
    folder. Raises ExportError if `target` exists after the block.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(target.parent)
    folder = target.with_name(f".{target.name}.writing-{secrets.token_hex(4)}")
    folder.mkdir()
    try:
        with _locked(folder):
            yield folder
            for directory, _, names in os.walk(folder):
                for name in names:
                    _sync(Path(directory, name))
                _sync(Path(directory))
            try:
                # It fails if the target is a folder with files.
                folder.rename(target)
            except OSError as error:
                if target.exists():
                    raise ExportError(f"{target} was written by another process; use another --version") from error
                raise
            _sync(target.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_leftovers(parent: Path) -> None:
    for path in parent.iterdir():
        if _STAGING_NAME.fullmatch(path.name):
            # Locked by a process that writes, not permitted, or removed by another process.
            with contextlib.suppress(OSError), _locked(path):
                shutil.rmtree(path)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Holds the lock of a folder. The kernel releases it when the process ends.

    Raises BlockingIOError if another process holds it.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
