"""Finds the files below a local folder. Follows symbolic links."""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from undertone_client.jobs import InputError

from undertone_cli.readers.names import printable
from undertone_cli.readers.patterns import matches, may_contain_matches

_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def is_ignored(name: str) -> bool:
    """Whether a file or folder is ignored by its name, such as `.git` and `_SUCCESS`."""
    return name.startswith((".", "_")) and name not in (".", "..")


def special_kind(mode: int) -> str | None:
    """What a file with this mode is, such as `a FIFO`. None for a regular file or a folder."""
    return _KINDS.get(stat.S_IFMT(mode))


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file that was found. `problem` says why it cannot be read; None if it can."""

    path: str
    relative: str
    problem: str | None = None


@dataclass(slots=True)
class FolderWalk:
    """One walk through a folder.

    Attributes:
        folder: where the walk starts.
        pattern: segments of the pattern that the relative paths must match. An empty pattern
            matches all files.
        exclude: a folder that is left out, such as the output folder.
        loops: the symbolic links that were left out, because they lead to a folder above them.
    """

    folder: Path
    pattern: Sequence[str] = ()
    exclude: Path | None = None
    loops: list[str] = field(default_factory=list)

    def files(self) -> Iterator[LocalFile]:
        """The files below the folder, in no particular order.

        Raises:
            InputError: a folder cannot be read.
        """
        excluded = self.exclude.resolve() if self.exclude else None
        return self._walk(self.folder, (), frozenset(), excluded)

    def _walk(
        self, folder: Path, segments: tuple[str, ...], ancestors: frozenset[tuple[int, int]], excluded: Path | None
    ) -> Iterator[LocalFile]:
        try:
            status = folder.stat()
            identity = (status.st_dev, status.st_ino)
            if identity in ancestors:
                self.loops.append(str(folder))
                return
            names = sorted(os.listdir(folder))  # noqa: PTH208 - Path.iterdir does not sort
        except OSError as error:
            raise InputError(
                f"the folder {printable(str(folder))} cannot be read: {error.strerror or error}; "
                "change its permissions, or name the files to read"
            ) from None
        for name in names:
            if is_ignored(name):
                continue
            path, below = folder / name, (*segments, name)
            mode, problem = _mode(path)
            if stat.S_ISDIR(mode):
                if may_contain_matches(below, self.pattern) and (excluded is None or path.resolve() != excluded):
                    yield from self._walk(path, below, ancestors | {identity}, excluded)
            elif matches(below, self.pattern):
                yield LocalFile(str(path), "/".join(below), problem)


def _mode(path: Path) -> tuple[int, str | None]:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return 0, f"cannot be read: {error.strerror or error}"
    kind = special_kind(mode)
    return mode, None if kind is None else f"is {kind}; remove it, or name the files to read"
