"""Writers that commit to the same table at the same time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.table import CommitTableResponse
from undertone_cli.publish import Publication
from undertone_cli.publish.publication import MAX_ATTEMPTS
from undertone_cli.run_folder import RunFolder
from undertone_client.jobs import OutputError
from undertone_client.jobs.catalog import TableName

from tests.unit.cli.publish.conftest import NAME, MakeFolder
from tests.unit.cli.publish.tables import read, row, texts_of

Publish = Callable[..., str]


class Interrupted:
    """A catalogue in which another writer commits before the first commits of this one."""

    def __init__(self, catalog: Catalog, monkeypatch: pytest.MonkeyPatch, *others: Callable[[], object]) -> None:
        self.left = list(others)
        commit = catalog.commit_table

        def interrupted(*arguments: Any, **options: Any) -> CommitTableResponse:
            if self.left:
                self.left.pop(0)()
            return commit(*arguments, **options)

        monkeypatch.setattr(catalog, "commit_table", interrupted)


@pytest.mark.parametrize("empty", [False, True])
def test_concurrent_writer(
    catalog: Catalog, scored: MakeFolder, publish: Publish, monkeypatch: pytest.MonkeyPatch, lake: Path, *, empty: bool
) -> None:
    """Both publish the same ids. No id occurs twice, and no row of the other writer is lost."""
    if not empty:
        publish(scored([row(index) for index in range(20)]))
    mine = scored([row(index, f"Mine {index}.") for index in range(10, 30)])
    other = scored([row(index, f"Other {index}.") for index in range(20, 40)])
    Interrupted(catalog, monkeypatch, lambda: publish(other))
    published = Publication(catalog, TableName.parse(NAME)).publish(RunFolder(mine))
    rows = read(catalog)
    assert rows["id"].to_pylist() == list(range(10 if empty else 0, 40))
    assert pc.count_distinct(rows["id"]).as_py() == rows.num_rows
    assert published.newer == 10
    assert texts_of(rows)[25] == texts_of(pq.read_table(other))[25]


def test_endless_conflicts_are_an_error(
    catalog: Catalog, scored: MakeFolder, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(scored([row(0)]))
    mine = scored([row(1)])
    before = texts_of(read(catalog))
    others = [scored([row(10 + number)]) for number in range(MAX_ATTEMPTS)]
    Interrupted(catalog, monkeypatch, *(lambda folder=folder: publish(folder) for folder in others))
    with pytest.raises(OutputError, match=f"other writers changed {NAME} during {MAX_ATTEMPTS} attempts"):
        Publication(catalog, TableName.parse(NAME)).publish(RunFolder(mine))
    assert set(texts_of(read(catalog))) == {*before, *range(10, 10 + MAX_ATTEMPTS)}
