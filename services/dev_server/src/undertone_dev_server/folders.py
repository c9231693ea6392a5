"""Version folders of a model on disk."""

import re
from pathlib import Path
from typing import Final

from undertone_dev_server.errors import LoadError

GRAPH_FILE: Final = "saved_model.pb"
MAX_VERSION: Final = 2**63 - 1

_INTEGER: Final = re.compile(r"[ \t\n\v\f\r]*[+-]?[0-9]+[ \t\n\v\f\r]*", re.ASCII)


def find_versions(base_path: Path) -> dict[int, Path]:
    """The versions in `base_path` by number: every entry whose name is an integer of 64 bits.

    As in TF Serving, the content does not matter: a folder that is still being copied, or a file
    with such a name, is a version that cannot be loaded. If several names mean the same number
    (`7` and `007`), the last name in alphabetical order counts.

    Raises LoadError if the folder `base_path` cannot be listed.
    """
    try:
        names = sorted(path.name for path in base_path.iterdir())
    except OSError as error:
        raise LoadError(f"cannot list the base path {base_path}: {error.strerror}") from error
    folders = {int(name): base_path / name for name in names if _INTEGER.fullmatch(name)}
    return {version: path for version, path in folders.items() if -MAX_VERSION <= version <= MAX_VERSION}
