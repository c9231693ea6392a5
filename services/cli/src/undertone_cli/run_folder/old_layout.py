"""The folder of an earlier release: `run.json`, `failures.jsonl` and `scores/part-*.parquet`."""

import os
from contextlib import suppress
from pathlib import Path

from undertone_cli.run_folder.manifest import is_foreign


class OldLayout:
    """The names of an earlier release. `replace` renames the files; a run then continues.

    Args:
        path: the run folder.
        new_manifest: the new path of the manifest. If it exists, the folder has the new names.
    """

    def __init__(self, path: Path, new_manifest: Path) -> None:
        self._path = path
        self._scores = path / "scores"
        self._manifest = path / "run.json"
        self._new_manifest = new_manifest

    @property
    def exists(self) -> bool:
        """Whether the folder has the names of an earlier release."""
        if not self._scores.is_dir() or not self._manifest.is_file() or self._new_manifest.exists():
            return False
        try:
            return not is_foreign(self._manifest.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            return False

    def replace(self, failures: Path) -> None:
        """Give the files their new names. The folder must be locked.

        The old manifest is renamed last: if the process stops earlier, the next call continues.

        Args:
            failures: the new path of the dead letters.

        Raises:
            OSError: a file cannot be renamed.
        """
        for part in sorted(self._scores.glob("part-*.parquet")):
            part.rename(self._path / part.name)
        for leftover in self._scores.glob(".*.aside"):
            leftover.unlink()
        with suppress(FileNotFoundError):
            (self._path / "failures.jsonl").rename(failures)
        with suppress(FileNotFoundError):
            (self._path / "report.html").rename(self._path / "_report.html")
        folder = os.open(self._path, os.O_RDONLY)
        try:
            os.fsync(folder)
            self._manifest.rename(self._new_manifest)
            os.fsync(folder)
        finally:
            os.close(folder)
        with suppress(OSError):  # the user's own files in it stay
            self._scores.rmdir()
