"""The views, read from the files in `sql/`.

A file starts with a comment: a description, an empty comment line, and a line `name: meaning` for
each column. One SELECT follows, in the SQL of Trino. It may use the tables in `SOURCES`, other
views, and the functions of `label_functions` and `dialects`, which a renderer replaces.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final, cast

import sqlglot
from sqlglot import exp

from undertone_cli.view_names import COMPARISONS, VIEW_NAMES

SOURCES: Final = ("scores", "dead_letters", "scores_before")
"""Tables that the views read. `scores_before` has older scores of the same paragraphs."""


@dataclass(frozen=True, slots=True)
class View:
    """A view.

    Attributes:
        name: its name.
        description: its meaning, in one sentence.
        columns: the meaning of each column, in order.
        query: its SELECT.
        tables: the tables and views that it reads directly.
        sources: the tables among `SOURCES` that it reads, also through other views.
    """

    name: str
    description: str
    columns: Mapping[str, str]
    query: exp.Query
    tables: frozenset[str]
    sources: frozenset[str]

    @property
    def compares(self) -> bool:
        """Whether the view compares two tables of scores."""
        return "scores_before" in self.sources


def _read(name: str, earlier: Mapping[str, View]) -> View:
    text = files(__package__).joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
    comments = [line.removeprefix("--").strip() for line in text.splitlines() if line.startswith("--")]
    blank = comments.index("")
    columns = {column: meaning for column, _, meaning in (line.partition(": ") for line in comments[blank + 1 :])}
    body = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    query = cast("exp.Query", sqlglot.parse_one(body, read="trino"))
    tables = frozenset(table.name for table in query.find_all(exp.Table)) & {*SOURCES, *earlier}
    sources = frozenset(SOURCES) & tables
    for table in tables - sources:
        sources |= earlier[table].sources
    return View(name, " ".join(comments[:blank]), columns, query, tables, sources)


def _read_all() -> dict[str, View]:
    views: dict[str, View] = {}
    for name in (*VIEW_NAMES, *COMPARISONS):
        views[name] = _read(name, views)
    return views


VIEWS: Final[Mapping[str, View]] = _read_all()
"""All views by name, each after those that it uses."""
