"""The output folder: its files, written aside and renamed, and the lock that keeps two runs apart."""

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from undertone_client.jobs import OutputError

from undertone_cli.job.manifest import Manifest

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the operating system says of a disk, a quota or a limit that is used up."""


class OutputFolder:
    """`run.json`, `failures.jsonl` and `scores/part-NNNNN.parquet` in a folder.

    All of them are written beside their place under a name that begins with a dot, flushed to the disk and renamed:
    whenever the process or the machine is stopped, each is whole, either the old or the new one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.scores = path / "scores"
        self.failures = path / "failures.jsonl"
        self._manifest = path / "run.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create the folder if need be, and keep other runs out of it. The kernel drops the lock with the process.

        Raises:
            OutputError: the folder cannot be created or written to, or another run is at work in it.
        """
        with self.writing():
            self.scores.mkdir(parents=True, exist_ok=True)
            lock = (self.path / ".lock").open("a")
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise OutputError(f"another run is writing to {self.path}; wait for its end, or name another folder") from None
            with self.writing():
                for leftover in (*self.path.glob(".*.aside"), *self.scores.glob(".*.aside")):
                    leftover.unlink()
            yield

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turns the operating system's errors into `OutputError`."""
        try:
            yield
        except OSError as error:
            remedy = "; make room, and the same command goes on from here" if error.errno in FULL else ""
            raise OutputError(f"{error.filename or self.path} cannot be written: {error.strerror or error}{remedy}") from None

    def part(self, number: int) -> Path:
        """Where part `number`, from 0, stands."""
        return self.scores / f"part-{number:05d}.parquet"

    def parts(self) -> list[Path]:
        """All parts there are, in order."""
        return sorted(self.scores.glob("part-*.parquet"))

    @staticmethod
    def aside(path: Path) -> Path:
        """Where a file is written before it takes its place at `path`."""
        return path.with_name(f".{path.name}.aside")

    @staticmethod
    def put(aside: Path, path: Path) -> None:
        """Flush a written file to the disk, and put it in its place."""
        with aside.open("rb") as written:
            os.fsync(written.fileno())
        aside.replace(path)
        # The new name is on the disk once its directory is.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def write(self, path: Path, fill: Callable[[Path], None]) -> None:
        """Have `fill` write a file aside, and put it in the place of `path`.

        Raises:
            OutputError: it cannot be written.
        """
        aside = self.aside(path)
        with self.writing():
            try:
                fill(aside)
                self.put(aside, path)
            except OSError:
                aside.unlink(missing_ok=True)  # on a full disk, half a file takes room that others need
                raise

    def read_manifest(self) -> Manifest | None:
        """The manifest, or None where there is none.

        Raises:
            OutputError: it is damaged, or there are parts without one.
        """
        try:
            return Manifest.from_json(self._manifest.read_text(encoding="utf-8"), str(self._manifest))
        except FileNotFoundError:
            if self.parts():
                raise OutputError(f"{self.path} has scores but no run.json to tell what they are; use --overwrite") from None
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise OutputError(f"{self._manifest} cannot be read: {error}") from None

    def write_manifest(self, manifest: Manifest) -> None:
        """Replace run.json."""
        self.write(self._manifest, lambda aside: _write_text(aside, manifest.to_json()))

    def clear(self) -> None:
        """Remove what earlier runs wrote, and nothing else; the manifest last, so that a clearing cut short is noticed."""
        with self.writing():
            for path in (*self.parts(), self.failures, self._manifest):
                path.unlink(missing_ok=True)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
