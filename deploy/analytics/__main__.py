"""Writes the SQL views and the dashboards over them.

`python -m deploy.analytics` writes the files. With --check it compares only, and exits with 1 if a
file is out of date.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .views import rendered_views

_FOLDER = Path(__file__).parent
_GENERATED = ("athena", "duckdb", "spark", "redash", "superset")


def rendered() -> dict[Path, str]:
    """The content of each file."""
    return rendered_views(_FOLDER)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description="Writes the SQL views and the dashboards over them.")
    parser.add_argument("--check", action="store_true", help="compare only; exit with 1 if a file is out of date")
    check = parser.parse_args(arguments).check
    files = rendered()
    present = {path for name in _GENERATED for path in (_FOLDER / name).rglob("*") if path.is_file()}
    outdated = [path for path, text in files.items() if path not in present or path.read_text(encoding="utf-8") != text]
    left_over = sorted(present - set(files))
    if check:
        for path in (*outdated, *left_over):
            print(f"{path} is out of date; run python -m deploy.analytics", file=sys.stderr)
        return 1 if outdated or left_over else 0
    for path in left_over:
        path.unlink()
    for path in outdated:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
