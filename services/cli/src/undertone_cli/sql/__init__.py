"""SQL over scores in an embedded DuckDB. Needs the extra `undertone[sql]`."""

from undertone_cli.sql.output import OutputFormat, write_result
from undertone_cli.sql.session import SqlSession
from undertone_cli.sql.sources import ScoreSource, open_source

__all__ = ["OutputFormat", "ScoreSource", "SqlSession", "open_source", "write_result"]
