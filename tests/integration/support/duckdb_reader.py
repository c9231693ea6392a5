"""DuckDB with its own Iceberg extension, in a process of its own.

Its release is older than the locked one, for which no extension is packaged.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.integration.support.processes import ENVIRONMENT

PACKAGES: Final = Path(__file__).parents[3] / "build/iceberg/duckdb"

needs_duckdb_iceberg = pytest.mark.skipif(not PACKAGES.is_dir(), reason="build/iceberg/duckdb does not exist: run .ci/iceberg")

PROGRAM: Final = """
import json, sys
from importlib.util import find_spec
from pathlib import Path
import duckdb
connection = duckdb.connect()
connection.execute("SET TimeZone = 'UTC'")
for name in ("avro", "iceberg"):
    (folder,) = find_spec(f"duckdb_extension_{name}").submodule_search_locations
    connection.execute(f"LOAD '{next(Path(folder).rglob('*.duckdb_extension'))}'")
for line in sys.stdin:
    columns, location = json.loads(line)
    names = ", ".join(f'"{name}"' for name in columns)
    rows = connection.execute(f"SELECT {names} FROM iceberg_scan(?)", [location]).fetchall()
    print(json.dumps([dict(zip(columns, map(str, row))) for row in rows]), flush=True)
"""


class DuckDBReader:
    """Reads Iceberg tables by the location of their metadata."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def read(self, metadata_location: str, columns: list[str]) -> list[dict[str, Any]]:
        """The rows of the current snapshot. All values are texts."""
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps([columns, metadata_location.removeprefix("file:")]), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        assert answer, "DuckDB has failed: see standard error"
        rows: list[dict[str, Any]] = json.loads(answer)
        return rows


@contextmanager
def duckdb_reader() -> Iterator[DuckDBReader]:
    """A running reader."""
    environment = {**ENVIRONMENT, "PYTHONPATH": str(PACKAGES)}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield DuckDBReader(process)
        finally:
            process.terminate()
