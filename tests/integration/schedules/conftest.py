"""A small source with a folder for each day, and the programs of Airflow and Luigi."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog import load_catalog
from pyiceberg.table import Table

from tests.integration.support.background_service import BackgroundService
from tests.integration.support.processes import ENVIRONMENT, command
from tests.integration.support.reports import Reports, reports
from tests.integration.support.shared_java import shared_java
from tests.integration.support.spark import SETTINGS

ROOT: Final = Path(__file__).parents[3]

DAYS: Final[Mapping[str, Mapping[str, str]]] = {
    "2026-11-26": {"a": "The first text of paragraph a", "b": "The only text of paragraph b"},
    "2026-11-27": {"a": "The second text of paragraph a", "b": "The only text of paragraph b"},
    "2026-11-28": {"a": "The second text of paragraph a", "c": "The only text of paragraph c"},
}
"""The paragraphs of each day, by their ids."""


@dataclass(frozen=True, slots=True)
class SmallTable:
    """A source, the folder of its table, a service and a Datadog agent."""

    folder: Path
    service: BackgroundService
    reports: Reports
    java: Mapping[str, str]
    """Environment variables for the Java process of all runs."""

    @property
    def source(self) -> Path:
        return self.folder / "source"

    @property
    def warehouse(self) -> Path:
        return self.folder / "lake"

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of schedulers. The secret must not be in their logs."""
        return {**ENVIRONMENT, **self.java, "PYSPARK_PYTHON": sys.executable, "MY_SECRET": "a-secret-value"}

    @property
    def settings(self) -> str:
        """Settings of the DAGs, as JSON."""
        settings = {
            "source": str(self.source),
            "warehouse": str(self.warehouse),
            "target": self.service.target,
            "dogstatsd": self.reports.agent.address,
            "command": command("undertone-batch"),
        }
        return json.dumps(settings)

    def table(self) -> Table:
        """The table, as pyiceberg reads it."""
        uri = f"sqlite:///{self.warehouse}/catalog.sqlite"
        return load_catalog("undertone", type="sql", uri=uri, init_catalog_tables="false").load_table("emotions.posts")

    def snapshots(self) -> list[str]:
        """The run of each snapshot that a run has committed, in order."""
        summaries = [snapshot.summary for snapshot in self.table().snapshots()]
        runs = [summary["undertone.run-id"] for summary in summaries if summary is not None]
        return [run for run in runs if run is not None]

    def present_ids(self) -> set[str]:
        """The ids of rows that are not marked as deleted."""
        return set(self.table().scan(row_filter="deleted_at IS NULL").to_arrow()["id"].to_pylist())

    def outcomes(self, job: str) -> list[str]:
        """The last word of the title of each event of a schedule."""
        return [event.title.split()[-1] for event in self.reports.events() if f"job {job} " in event.title]


@contextmanager
def _small_table(folder: Path, java: Mapping[str, str]) -> Iterator[SmallTable]:
    for day, texts in DAYS.items():
        (folder / "source" / day).mkdir(parents=True)
        paragraphs = pa.table({"id": list(texts), "text": list(texts.values())})
        pq.write_table(paragraphs, folder / "source" / day / "part.parquet")
    service = BackgroundService()
    try:
        with reports() as received:
            yield SmallTable(folder, service, received, java)
    finally:
        service.close()


@pytest.fixture(scope="package")
def java() -> Iterator[Mapping[str, str]]:
    with shared_java("local[2,4]", SETTINGS) as variables:
        yield variables


@pytest.fixture(scope="module")
def small_table(java: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallTable]:
    with _small_table(tmp_path_factory.mktemp("small"), java) as table:
        yield table


def program(scheduler: str, name: str) -> str:
    """The path of a program in the environment of a scheduler. Skips the test without one."""
    path = ROOT / "build" / scheduler / "bin" / name
    if not os.access(path, os.X_OK):
        pytest.skip(f"build/{scheduler} does not exist: run .ci/scheduler {scheduler}")
    return str(path)
