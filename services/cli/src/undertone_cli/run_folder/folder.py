"""The files of a run's folder, each replaced atomically, and the lock against a second run."""

import errno
import fcntl
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from undertone_client.jobs import OutputError

from undertone_cli.run_folder.manifest import Manifest, is_foreign
from undertone_cli.run_folder.old_layout import OldLayout
from undertone_cli.run_folder.parquet import check_is_part

_PART_NAME = re.compile(r"part-\d{5,}\.parquet")
"""Spark's names, such as part-00000-1c5f….snappy.parquet, are others."""

_VOLUME_FOLDER = "lost+found"
"""A folder in new file systems."""

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors of a full disk, an exhausted quota or a file size limit."""


def temporary_path(path: Path) -> Path:
    """Path of the new content of a file, which `replace_file` renames to `path`."""
    return path.with_name(f".{path.name}.aside")


def replace_file(path: Path) -> None:
    """Flush the file at `temporary_path(path)` to the disk, and rename it to `path`.

    Raises:
        OSError: the file cannot be renamed, or `path` is a device, a pipe or in /dev. A user who
            may write to /dev would replace /dev/stdout for all programs.
    """
    temporary = temporary_path(path)
    if path.exists() and (not path.is_file() or path.absolute().is_relative_to("/dev")):
        temporary.unlink(missing_ok=True)
        raise OSError(errno.EINVAL, "it is not a regular file: name one", str(path))
    with temporary.open("rb") as written:
        os.fsync(written.fileno())
    temporary.replace(path)
    # The new name is durable only once its directory is flushed.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class RunFolder:
    """`part-NNNNN.parquet`, `_failures.jsonl` and `_run.json` in a folder.

    Spark, Arrow and pandas ignore names that start with an underscore or a dot, so that they read
    the folder as one table.

    Each file is written under a temporary name that starts with a dot, flushed to the disk and
    renamed. If the process or the machine stops at any time, each file is complete: the old one
    or the new one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.failures = path / "_failures.jsonl"
        self.bad_lines = path / "_bad_lines.jsonl"
        self.report = path / "_report.html"
        self._manifest = path / "_run.json"
        self._old_layout = OldLayout(path, self._manifest)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create the folder if needed, and lock it. The kernel releases the lock at process exit.

        Raises:
            OutputError: the folder cannot be created or written, or another run has locked it.
        """
        with self.output_errors():
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / ".lock").open("a")
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OutputError(f"another run is writing to {self.path}; wait until it ends, or use another folder") from None
            except OSError as error:
                raise OutputError(
                    f"{self.path} cannot be locked against a second run: {error.strerror or error}; its file system does not "
                    "support locks now: use a folder on a local disk, and copy it afterwards"
                ) from None
            with self.output_errors():
                for leftover in self.path.glob(".*.aside"):
                    leftover.unlink()
                if self._old_layout.exists:
                    self._old_layout.replace(self.failures)
            yield

    @contextmanager
    def output_errors(self) -> Iterator[None]:
        """Converts OSError into OutputError."""
        try:
            yield
        except OSError as error:
            remedy = "; free some space, then run the same command again to continue" if error.errno in DISK_FULL else ""
            raise OutputError(f"{error.filename or self.path} cannot be written: {error.strerror or error}{remedy}") from None

    def part(self, number: int) -> Path:
        """Path of part `number`, from 0."""
        return self.path / f"part-{number:05d}.parquet"

    def parts(self) -> list[Path]:
        """Paths of all existing parts, in order."""
        return sorted(path for path in self.path.glob("part-*.parquet") if _PART_NAME.fullmatch(path.name))

    def write(self, path: Path, fill: Callable[[Path], None]) -> None:
        """Replace the file at `path` by one that `fill` writes.

        Raises:
            OutputError: the file cannot be written.
        """
        temporary = temporary_path(path)
        with self.output_errors():
            try:
                fill(temporary)
                replace_file(path)
            except OSError:
                temporary.unlink(missing_ok=True)  # frees the space of a half-written file on a full disk
                raise

    def read_manifest(self) -> Manifest | None:
        """The manifest. None if _run.json does not exist.

        Raises:
            OutputError: the manifest is damaged, or there are parts without a manifest.
        """
        if self._old_layout.exists:
            with self.locked():  # gives the files their new names
                pass
        try:
            return Manifest.from_json(self._manifest.read_text(encoding="utf-8"), str(self._manifest))
        except FileNotFoundError:
            if self.parts():
                raise OutputError(
                    f"{self.path} contains scores but no _run.json that describes them; "
                    "discard them with `undertone score --overwrite`"
                ) from None
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise OutputError(f"{self._manifest} cannot be read: {error}") from None

    def manifest(self) -> Manifest:
        """The manifest of the folder's run.

        Raises:
            OutputError: as `read_manifest`, or _run.json does not exist.
        """
        manifest = self.read_manifest()
        if manifest is None:
            raise OutputError(f"{self.path} has no _run.json; name a folder that `undertone score --out` wrote")
        return manifest

    def check_usable(self) -> None:
        """Check that the folder has a run, is empty, or does not exist. Hidden files are ignored.

        Raises:
            OutputError: the folder has files that are not of a run, or cannot be read.
        """
        if self._manifest.exists() or self.parts() or self._old_layout.exists or not self.path.is_dir():
            return
        with self.output_errors():
            names = sorted(path.name for path in self.path.iterdir())
        other = next((name for name in names if not name.startswith((".", "_")) and name != _VOLUME_FOLDER), None)
        if other is not None:
            raise OutputError(
                f"{self.path} contains {other}, which is not of a run of `undertone score`: use a new or empty folder"
            )

    def write_manifest(self, manifest: Manifest) -> None:
        """Replace _run.json."""

        def fill(path: Path) -> None:
            path.write_text(manifest.to_json(), encoding="utf-8")

        self.write(self._manifest, fill)

    def clear(self) -> None:
        """Delete the files of earlier runs. The manifest is last: parts without it are an error.

        Raises:
            OutputError: a file cannot be deleted, or is not a part of an earlier run.
        """
        if not self._manifest.exists():
            for part in self.parts():
                check_is_part(part)
        elif is_foreign(self._manifest.read_text(encoding="utf-8", errors="replace")):
            raise OutputError(f"{self._manifest} was not written by `undertone score`, and is not deleted: use an empty folder")
        with self.output_errors():
            for path in (*self.parts(), self.failures, self.bad_lines, self._manifest):
                path.unlink(missing_ok=True)
