"""Other programs read a run folder as one table."""

from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.dataset as ds
import pytest

from tests.unit.support.command import Command, read_failures

COUNT = 25


@pytest.fixture
def folder(command: Command, tmp_path: Path) -> Path:
    """A folder of several parts, a dead letter, and a report."""
    source, out = tmp_path / "reviews.jsonl", tmp_path / "scores" / "reviews"
    rows = [f'{{"text": "A sufficiently long review, number {index}."}}\n' for index in range(COUNT)]
    source.write_text("".join([*rows, '{"text": null}\n']))
    assert command("score", source, "--out", out, "--rows-per-part", 10).exit_code == 1
    assert command("report", out).exit_code == 0
    assert len(read_failures(out)) == 1
    return out


def test_pandas(folder: Path) -> None:
    frame = pd.read_parquet(folder)
    assert list(frame["position"]) == list(range(COUNT))


def test_arrow_dataset(folder: Path) -> None:
    assert ds.dataset(folder).count_rows() == COUNT


@pytest.mark.parametrize("suffix", ["", "/*.parquet"])
def test_duckdb(folder: Path, suffix: str) -> None:
    assert duckdb.read_parquet(f"{folder}{suffix}").aggregate("count(DISTINCT id)").fetchall() == [(COUNT,)]
