"""Rows to score, and rows of published tables."""

import pyarrow as pa
from pyiceberg.catalog import Catalog

from tests.unit.cli.publish.conftest import NAME


def row(key: object, text: str = "", **more: object) -> dict[str, object]:
    return {"key": key, "book": f"b{key}", "text": text or f"The text of paragraph {key}.", **more}


def read(catalog: Catalog, name: str = NAME) -> pa.Table:
    return catalog.load_table(name).scan().to_arrow().sort_by("id")


def texts_of(table: pa.Table) -> dict[object, str]:
    return dict(zip(table["id"].to_pylist(), table["text_sha256"].to_pylist(), strict=True))
