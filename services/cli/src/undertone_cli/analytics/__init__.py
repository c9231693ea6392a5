"""SQL views over a table of scores, for Athena and Trino, DuckDB and Spark. Needs sqlglot."""

from undertone_cli.analytics.dialects import Dialect
from undertone_cli.analytics.render import Period, Relations, Renderer, iceberg_relations
from undertone_cli.analytics.views import SOURCES, VIEWS, View

__all__ = ["SOURCES", "VIEWS", "Dialect", "Period", "Relations", "Renderer", "View", "iceberg_relations"]
"""`VIEWS` has all views in an order in which they can be created."""
