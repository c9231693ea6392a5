"""Trino on this machine, with tables in memory."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError
from urllib.request import Request, urlopen

import pyarrow as pa
import pytest
from undertone_bench.processes import free_ports

from tests.integration.support.processes import ENVIRONMENT, TIMEOUT_SECONDS, until

SERVER: Final = Path(__file__).parents[3] / "build/trino/server"

needs_trino = pytest.mark.skipif(not SERVER.is_dir(), reason="build/trino does not exist: run make test-trino")

JAVA_OPTIONS: Final = (
    "-Xmx1G -XX:+UseG1GC -XX:TieredStopAtLevel=1 -XX:+EnableDynamicAgentLoading -Djdk.attach.allowAttachSelf=true"
    " --add-modules=jdk.incubator.vector --enable-native-access=ALL-UNNAMED --sun-misc-unsafe-memory-access=allow"
)

TYPES: Final = {
    pa.string(): "varchar",
    pa.int64(): "bigint",
    pa.int32(): "integer",
    pa.float32(): "real",
    pa.bool_(): "boolean",
    pa.timestamp("us", "UTC"): "timestamp(6) with time zone",
}
"""The types of the columns of a table of scores, which also has lists of texts."""


class Trino:
    """A running server, whose tables and views are in the schema `emotions`."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def execute(self, statement: str) -> list[dict[str, Any]]:
        """The rows of a statement. Raises AssertionError if Trino refuses it."""
        headers = {"X-Trino-User": "test", "X-Trino-Catalog": "memory", "X-Trino-Schema": "emotions"}
        headers["X-Trino-Time-Zone"] = "America/New_York"
        request = Request(f"{self._uri}/v1/statement", statement.encode(), headers)  # noqa: S310 - a local server
        columns: list[dict[str, str]] = []
        rows: list[dict[str, Any]] = []
        while True:
            with urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
                page = json.load(response)
            assert "error" not in page, f"{page['error']['message']}\n{statement}"
            columns = page.get("columns", columns)
            rows += [
                {column["name"]: _value(column["type"], value) for column, value in zip(columns, row, strict=True)}
                for row in page.get("data", [])
            ]
            if "nextUri" not in page:
                return rows
            request = Request(page["nextUri"], headers=headers)  # noqa: S310

    def load(self, name: str, table: pa.Table) -> None:
        """Creates a table with the rows of an Arrow table."""
        types = [TYPES.get(field.type, "array(varchar)") for field in table.schema]
        columns = ", ".join(f'"{field.name}" {kind}' for field, kind in zip(table.schema, types, strict=True))
        self.execute(f"CREATE TABLE {name} ({columns})")
        rows = [", ".join(map(_literal, row.values(), types)) for row in table.to_pylist()]
        if rows:
            self.execute(f"INSERT INTO {name} VALUES {', '.join(f'({row})' for row in rows)}")  # noqa: S608

    @property
    def is_started(self) -> bool:
        """Whether the server accepts statements."""
        try:
            with urlopen(f"{self._uri}/v1/info", timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
                return not json.load(response)["starting"]
        except (URLError, ConnectionError):
            return False


@contextmanager
def trino() -> Iterator[Trino]:
    """A new server without tables."""
    [port] = free_ports(1)
    settings: dict[str, object] = {
        "coordinator": "true",
        "node-scheduler.include-coordinator": "true",
        "http-server.http.port": port,
        "http-server.log.enabled": "false",
        "discovery.uri": f"http://127.0.0.1:{port}",
        "node.environment": "test",
        "node.internal-address": "127.0.0.1",
        "node.bind-ip": "127.0.0.1",
        "plugin.dir": SERVER / "plugin",
    }
    java = Path(os.environ["JAVA_HOME"]) / "bin/java" if "JAVA_HOME" in os.environ else Path("java")
    with tempfile.TemporaryDirectory(prefix="undertone-") as name:
        folder = Path(name)
        (folder / "etc/catalog").mkdir(parents=True)
        (folder / "etc/catalog/memory.properties").write_text("connector.name=memory\n")
        settings["catalog.config-dir"] = folder / "etc/catalog"
        config = folder / "etc/config.properties"
        config.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        program = [str(java), *JAVA_OPTIONS.split(), f"-Dconfig={config}", "-cp", f"{SERVER}/lib/*"]
        log = folder / "log"
        with (
            log.open("wb") as output,
            subprocess.Popen(
                [*program, "io.trino.server.TrinoServer"], cwd=folder, env=ENVIRONMENT, stdout=output, stderr=output
            ) as server,
        ):
            try:
                running = Trino(f"http://127.0.0.1:{port}")
                until(lambda: server.poll() is not None or running.is_started, "Trino starts")
                assert server.poll() is None, log.read_text()
                running.execute("CREATE SCHEMA emotions")
                yield running
            finally:
                server.kill()


def _value(kind: str, value: Any) -> Any:
    """A value of a result, which is JSON."""
    if value is None:
        return None
    if kind == "date":
        return date.fromisoformat(value)
    if kind.startswith("timestamp"):
        return datetime.fromisoformat(value)
    return float(value) if kind in ("real", "double") else value


def _literal(value: Any, kind: str) -> str:
    """A value as SQL."""
    if value is None:
        return f"CAST(NULL AS {kind})"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, datetime):
        return f"TIMESTAMP '{value:%Y-%m-%d %H:%M:%S.%f} UTC'"
    if isinstance(value, list):
        return f"CAST(ARRAY[{', '.join(_literal(each, 'varchar') for each in value)}] AS array(varchar))"
    return f"REAL '{value}'" if kind == "real" else str(value)
