"""_bad_lines.jsonl: the lines that were skipped with `--on-bad-line skip`."""

import json
from contextlib import suppress
from threading import Lock
from types import TracebackType
from typing import Self, TextIO

from undertone_cli.readers import BadLine, BadLinePolicy, Input
from undertone_cli.run_folder.folder import RunFolder, replace_file, temporary_path


class BadLineFile:
    """Writes a new _bad_lines.jsonl in the order of the input. Used as a context manager.

    Each line has `input`, `document`, `line` (from 1) and `reason`, and never text of the input.
    `publish` replaces the old file. Without skipping, nothing is written.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(self, folder: RunFolder, policy: BadLinePolicy) -> None:
        self._folder = folder
        self._skips = policy is BadLinePolicy.SKIP
        self._file: TextIO | None = None
        self._lock = Lock()  # the thread that reads the inputs adds lines
        self.count = 0

    def __enter__(self) -> Self:
        if self._skips:
            with self._folder.output_errors():
                self._file = temporary_path(self._folder.bad_lines).open("w", encoding="utf-8")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        with self._lock, suppress(OSError):
            if self._file is not None:
                self._file.close()
                self._file = None
                temporary_path(self._folder.bad_lines).unlink(missing_ok=True)

    def add(self, source: Input, line: BadLine) -> None:
        """Add a line."""
        record = {"input": source.display_name, "document": source.document, "line": line.line, "reason": line.reason}
        with self._lock, self._folder.output_errors():
            if self._file is not None:
                self._file.write(json.dumps(record, ensure_ascii=False) + "\n")
                self.count += 1

    def publish(self) -> None:
        """Replace the old file."""
        with self._lock, self._folder.output_errors():
            if self._file is not None:
                self._file.close()
                self._file = None
                replace_file(self._folder.bad_lines)
