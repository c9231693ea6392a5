"""A DuckDB that can read the scores and nothing else."""

import tempfile
from collections.abc import Sequence
from itertools import takewhile
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
from undertone_client.errors import SettingsError
from undertone_client.jobs import InputError

from undertone_cli.sql.sources import OPTIONAL, ScoreSource

MISSING_EXTRA = "SQL needs DuckDB and sqlglot: pip install 'undertone[sql]'"
DEFAULT_MEMORY = "2GB"


class SqlSession:
    """The tables `scores` and `dead_letters`, and the views, in a DuckDB in memory.

    SQL can neither read nor write files, use the network, load extensions or change settings. Data
    over the memory limit is written to a temporary folder, which is deleted at the end.

    Args:
        source: the scores.
        before: older scores, for the views that compare.
        memory_limit: the memory that DuckDB may use, such as 500MB.
        baseline: the baseline period of drift, as FIRST/LAST.

    Raises:
        SettingsError: DuckDB or sqlglot is missing, or an option is invalid.
    """

    def __init__(
        self,
        source: ScoreSource,
        before: ScoreSource | None = None,
        *,
        memory_limit: str = DEFAULT_MEMORY,
        baseline: str | None = None,
    ) -> None:
        try:
            import duckdb

            from undertone_cli.analytics import Dialect, Relations, Renderer
            from undertone_cli.analytics.render import parse_period
        except ImportError:
            raise SettingsError(MISSING_EXTRA) from None
        self.source = source
        self._duckdb = duckdb
        self._folder = tempfile.TemporaryDirectory(prefix="undertone-sql-")
        try:
            self._connection = duckdb.connect(config={"temp_directory": self._folder.name})
            self._configure(f"SET memory_limit = {_quoted(memory_limit)}", f"--memory-limit {memory_limit!r}")
            self._register("scores", source)
            if before is not None:
                self._register("scores_before", before)
            letters = source.dead_letters
            if letters.schema.field("id").type != source.scores.schema.field("id").type:
                self._connection.register("undertone_letters", letters)
                kind = "BIGINT" if pa.types.is_integer(source.scores.schema.field("id").type) else "VARCHAR"
                self._connection.execute(
                    f"CREATE VIEW dead_letters AS SELECT * REPLACE (TRY_CAST(id AS {kind}) AS id) FROM undertone_letters"  # noqa: S608
                )
            else:
                self._connection.register("dead_letters", letters)
            renderer = Renderer(
                Dialect.DUCKDB,
                source.labels,
                Relations(),
                multi_label=source.multi_label,
                labels_before=before.labels if before else None,
                multi_label_before=before.multi_label if before else None,
                baseline=parse_period(baseline) if baseline else None,
            )
            for statement in renderer.statements(comparisons=before is not None):
                self._connection.execute(statement)
            for setting in (
                "SET autoinstall_known_extensions = false",
                "SET autoload_known_extensions = false",
                "SET python_enable_replacements = false",  # no access to variables of this program
                "SET enable_external_access = false",
                "SET lock_configuration = true",
            ):
                self._connection.execute(setting)
        except BaseException:
            self._folder.cleanup()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._connection.close()
        self._folder.cleanup()

    def read(self, query: str, parameters: Sequence[object] = ()) -> pa.RecordBatchReader:
        """The result of one SELECT, batch by batch.

        Raises:
            InputError: the query is invalid, or fails.
        """
        statements = self._attempt(lambda: self._connection.extract_statements(query))
        if len(statements) != 1:
            raise InputError(f"the query has {len(statements)} statements: write exactly one SELECT")
        allowed = (self._duckdb.StatementType.SELECT, self._duckdb.StatementType.EXPLAIN)
        if statements[0].type not in allowed:
            raise InputError(f"the query is {statements[0].type.name}: scores are read only, so write a SELECT")
        relation = self._attempt(lambda: self._connection.sql(query, params=list(parameters) or None))
        reader = self._attempt(lambda: relation.to_arrow_reader(10_000))
        return pa.RecordBatchReader.from_batches(reader.schema, self._batches(reader))

    def kept_columns(self, *more: str) -> str:
        """SQL of `more` and the kept columns of `scores`, for the end of a SELECT list."""
        names = dict.fromkeys((*more, *self.source.kept))
        return "".join(', scores."' + name.replace('"', '""') + '"' for name in names)

    def _batches(self, reader: Any) -> Any:
        while True:
            try:
                batch = self._attempt(reader.read_next_batch)
            except StopIteration:
                return
            yield batch

    def _attempt(self, action: Any) -> Any:
        try:
            return action()
        except (self._duckdb.Error, pa.ArrowException, OSError) as error:
            raise InputError(f"the query failed: {_message(error)}") from None

    def _configure(self, statement: str, option: str) -> None:
        try:
            self._connection.execute(statement)
        except self._duckdb.Error as error:
            raise SettingsError(f"{option} is invalid: {_message(error)}") from None

    def _register(self, name: str, source: ScoreSource) -> None:
        hidden = f"undertone_{name}"
        self._connection.register(hidden, source.scores)
        kinds = {"string": "VARCHAR", "int64": "BIGINT", "list<element: string>": "VARCHAR[]"}
        missing = [field for field in OPTIONAL if field.name not in source.scores.schema.names]
        columns = "".join(f", CAST(NULL AS {kinds.get(str(field.type), 'TIMESTAMPTZ')}) AS {field.name}" for field in missing)
        self._connection.execute(f"CREATE VIEW {name} AS SELECT *{columns} FROM {hidden}")  # noqa: S608 - our own names


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _message(error: BaseException) -> str:
    text = str(error).strip()
    if "Out of Memory" in text:
        return f"{text.splitlines()[0]} Raise --memory-limit, or select less."
    # DuckDB adds the stack of an error that a Python dataset raises.
    return "\n".join(takewhile(lambda line: not line.startswith('  File "'), text.splitlines()))
