"""Version folders on disk: which are there, and whether one has changed."""

import re
from pathlib import Path

from undertone_dev_server.errors import LoadError

GRAPH_FILE = "saved_model.pb"
MAX_VERSION = 2**63 - 1

Fingerprint = frozenset[tuple[str, int, int]]


def scan(base_path: Path) -> dict[int, Path]:
    """The folders under `base_path` that hold a version, by version.

    A version folder has a decimal number for a name and holds `saved_model.pb`, which an exporter writes or renames into
    place last; everything else is ignored. Of two spellings of one number (`7`, `007`) the shorter counts.

    Raises LoadError if `base_path` is not a folder that can be listed.
    """
    try:
        names = [entry.name for entry in base_path.iterdir()]
    except OSError as error:
        raise LoadError(f"the base path {base_path} cannot be listed: {error.strerror}") from error
    numbered = sorted((name for name in names if re.fullmatch("[0-9]+", name)), key=len, reverse=True)
    found = {int(name): base_path / name for name in numbered}
    return {version: path for version, path in found.items() if version <= MAX_VERSION and (path / GRAPH_FILE).is_file()}


def fingerprint(folder: Path) -> Fingerprint:
    """Name, size in bytes and time of change of every file below `folder`; equal as long as nothing was rewritten."""
    seen = set()
    for path in folder.rglob("*"):
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue  # gone between listing and looking, which is a change that the next look shows
        seen.add((str(path.relative_to(folder)), stat.st_size, stat.st_mtime_ns))
    return frozenset(seen)
