"""The generated views and dashboards in deploy/analytics."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import duckdb
import pytest
import sqlglot
from undertone_cli.analytics import Dialect, Relations, Renderer
from undertone_model.emotions import EMOTIONS

from deploy.analytics.__main__ import main, rendered
from deploy.analytics.charts import CHARTS, Chart
from deploy.analytics.redash_import import FILE, Redash, import_dashboard


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """The views of an empty table emotions.stories."""
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA emotions")
    labels = "".join(f', 0.0::FLOAT AS "{label}"' for label in EMOTIONS)
    connection.execute(
        "CREATE TABLE emotions.stories AS SELECT '' AS id, '' AS document, 0::BIGINT AS position, '' AS text_sha256"
        f", '' AS label{labels}, 1 AS tokens, 1 AS chunks, false AS truncated, '' AS flags"
        ", '' AS model_name, 1 AS model_version, '' AS precision, '' AS policy"
        ", now() AS scored_at, NULL::TIMESTAMPTZ AS deleted_at"
    )
    connection.execute(
        "CREATE TABLE emotions.stories_dead_letters AS SELECT '' AS id, '' AS status, '' AS reason, 1 AS attempts,"
        " now() AS failed_at"
    )
    relations = Relations("emotions.stories", "emotions.stories_dead_letters", "", lambda name: f"emotions.stories_{name}")
    for statement in Renderer(Dialect.DUCKDB, EMOTIONS, relations).statements(comparisons=False):
        connection.execute(statement)
    yield connection
    connection.close()


def test_files_are_generated() -> None:
    assert main(["--check"]) == 0


@pytest.mark.parametrize("dialect", Dialect)
def test_each_file_is_one_statement_of_its_engine(dialect: Dialect) -> None:
    files = [text for path, text in rendered().items() if path.parent.name == dialect.value]
    assert len(files) == 16
    for text in files:
        [statement] = sqlglot.parse(text, read=dialect.sqlglot)
        assert isinstance(statement, sqlglot.exp.Create)


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.title)
def test_queries_of_charts_have_the_columns_of_the_chart(connection: duckdb.DuckDBPyConnection, chart: Chart) -> None:
    columns = connection.sql(sqlglot.transpile(chart.query, read="trino", write="duckdb")[0]).columns
    assert {column for column in (chart.x, chart.y, chart.series) if column} <= set(columns)


def test_queries_of_grafana_run(connection: duckdb.DuckDBPyConnection) -> None:
    dashboard = json.loads(next(text for path, text in rendered().items() if path.parent.name == "grafana"))
    places = [tuple(panel["gridPos"].values()) for panel in dashboard["panels"]]
    assert len(set(places)) == len(CHARTS)
    for panel in dashboard["panels"]:
        [target] = panel["targets"]
        connection.sql(sqlglot.transpile(target["rawSQL"], read="trino", write="duckdb")[0])


class _Handler(BaseHTTPRequestHandler):
    """The part of Redash's API that the import uses, with objects in memory."""

    objects: dict[str, dict[int, dict[str, Any]]]

    def do_GET(self) -> None:
        kind = self.path.removeprefix("/api/").partition("?")[0]
        if kind == "data_sources":
            self._answer([{"id": 7, "name": "athena"}])
        else:
            self._answer({"results": list(self.objects.get(kind, {}).values())})

    def do_POST(self) -> None:
        kind, _, ident = self.path.removeprefix("/api/").partition("/")
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        found = self.objects.setdefault(kind, {})
        number = int(ident) if ident else len(found) + 1
        found[number] = {**found.get(number, {}), **body, "id": number}
        self._answer(found[number])

    def _answer(self, value: object) -> None:
        authorized = self.headers["Authorization"] == "Key secret"
        body = json.dumps(value).encode()
        self.send_response(200 if authorized else 403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    handler = type("Handler", (_Handler,), {"objects": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_redash_import_can_be_repeated(server: ThreadingHTTPServer) -> None:
    redash = Redash(f"http://127.0.0.1:{server.server_port}", "secret")
    document = json.loads(FILE.read_text(encoding="utf-8"))
    for _ in range(2):
        import_dashboard(redash, document, "athena")
    objects = server.RequestHandlerClass.objects  # type: ignore[attr-defined]
    assert {kind: len(found) for kind, found in objects.items()} == {
        "dashboards": 1,
        "queries": len(CHARTS),
        "visualizations": len(CHARTS),
        "widgets": len(CHARTS),
    }
    assert {query["data_source_id"] for query in objects["queries"].values()} == {7}


def test_redash_import_explains_errors(server: ThreadingHTTPServer) -> None:
    url, document = f"http://127.0.0.1:{server.server_port}", json.loads(FILE.read_text(encoding="utf-8"))
    with pytest.raises(SystemExit, match="use one of athena"):
        import_dashboard(Redash(url, "secret"), document, "other")
    with pytest.raises(SystemExit, match="check REDASH_API_KEY"):
        import_dashboard(Redash(url, "wrong"), document, "athena")
