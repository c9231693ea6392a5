"""The statements that create the views, for the standard emotions and emotions.stories."""

from pathlib import Path

from undertone_cli.analytics import VIEWS, Dialect, Renderer, iceberg_relations
from undertone_client.jobs.catalog import TableName
from undertone_model.emotions import EMOTIONS

TABLE = TableName("emotions", "stories")


def rendered_views(folder: Path) -> dict[Path, str]:
    """The content of each file: one statement, because Athena runs one statement per request."""
    files = {}
    for dialect in Dialect:
        renderer = Renderer(dialect, EMOTIONS, iceberg_relations(dialect, TABLE))
        for number, view in enumerate(VIEWS.values(), 1):
            path = folder / dialect.value / f"{number:02d}_{view.name}.sql"
            files[path] = f"-- {view.description}\n{renderer.statement(view)}\n"
    return files
