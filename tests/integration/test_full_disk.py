"""`undertone score` on a full disk that is enlarged later."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from click.testing import CliRunner, Result
from undertone_cli.__main__ import undertone

from tests.integration.support.background_service import BackgroundService
from tests.integration.support.small_disk import small_disk


def rows(out: Path) -> dict[str, list[dict[str, Any]]]:
    """Rows of each part, without the time of the score."""
    parts = {part.name: pq.read_table(part) for part in sorted((out / "scores").glob("part-*.parquet"))}
    return {name: part.drop_columns(["scored_at"]).to_pylist() for name, part in parts.items()}


def test_run_continues_after_the_disk_is_enlarged(tmp_path: Path) -> None:
    source = tmp_path / "source.jsonl"
    source.write_text("".join(json.dumps({"text": f"Paragraph {number}."}) + "\n" for number in range(500)))
    service = BackgroundService()

    def score(out: Path) -> Result:
        arguments = ["score", str(source), "--out", str(out), "--rows-per-part=100", "--limit=1"]
        return CliRunner().invoke(undertone, arguments, env={"UNDERTONE_TARGET": service.target, "COLUMNS": "400"})

    try:
        assert score(tmp_path / "uninterrupted").exit_code == 0
        with small_disk(tmp_path / "disk", kilobytes=64) as disk:
            out = disk.folder / "out"
            full = score(out)
            assert full.exit_code == 2, full.output
            assert "No space left on device; free some space, then run the same command again to continue" in full.output
            assert json.loads((out / "run.json").read_text())["complete"] is False
            assert list(out.rglob(".*.aside")) == []
            kept = sum(map(len, rows(out).values()))
            assert 0 < kept < 500
            service.received_texts()
            disk.grow(kilobytes=4096)
            assert score(out).exit_code == 0
            assert len(service.received_texts()) == 500 - kept
            assert rows(out) == rows(tmp_path / "uninterrupted")
    finally:
        service.close()
