"""Version folders of a model on disk."""

import re
from pathlib import Path

from undertone_dev_server.errors import LoadError

GRAPH_FILE = "saved_model.pb"
MAX_VERSION = 2**63 - 1

Fingerprint = frozenset[tuple[str, int, int]]


def find_versions(base_path: Path) -> dict[int, Path]:
    """The version folders in `base_path` by version number.

    The name of a version folder is a decimal number. The folder counts when it contains
    `saved_model.pb`, which an exporter writes or renames last. If two names mean the same number
    (`7` and `007`), the shorter name counts.

    Raises LoadError if the folder `base_path` cannot be listed.
    """
    try:
        names = [path.name for path in base_path.iterdir()]
    except OSError as error:
        raise LoadError(f"cannot list the base path {base_path}: {error.strerror}") from error
    numbers = sorted((name for name in names if re.fullmatch("[0-9]+", name)), key=len, reverse=True)
    folders = {int(name): base_path / name for name in numbers}
    return {version: path for version, path in folders.items() if version <= MAX_VERSION and (path / GRAPH_FILE).is_file()}


def fingerprint(folder: Path) -> Fingerprint:
    """Path, size in bytes and modification time of every file in `folder`. It changes when a file
    changes.
    """
    files = set()
    for path in folder.rglob("*"):
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue  # deleted since it was listed; the next fingerprint differs
        files.add((str(path.relative_to(folder)), stat.st_size, stat.st_mtime_ns))
    return frozenset(files)
