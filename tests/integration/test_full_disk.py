"""`undertone score` on a full disk that is enlarged later."""

import json
from pathlib import Path

from click.testing import CliRunner, Result
from undertone_cli.__main__ import undertone

from tests.integration.support.background_service import BackgroundService
from tests.integration.support.small_disk import small_disk
from tests.unit.support.command import read_table


def test_run_continues_after_the_disk_is_enlarged(service: BackgroundService, tmp_path: Path) -> None:
    source = tmp_path / "source.jsonl"
    source.write_text("".join(json.dumps({"text": f"Paragraph {number}."}) + "\n" for number in range(500)))

    def score(out: Path) -> Result:
        arguments = ["score", str(source), "--out", str(out), "--rows-per-part=100", "--limit=1", "--min-characters=0"]
        return CliRunner().invoke(undertone, arguments, env={"UNDERTONE_TARGET": service.target, "COLUMNS": "400"})

    assert score(tmp_path / "uninterrupted").exit_code == 0
    with small_disk(tmp_path / "disk", kilobytes=64) as disk:
        out = disk.folder / "out"
        full = score(out)
        assert full.exit_code == 2, full.output
        assert "No space left on device; free some space, then run the same command again to continue" in full.output
        assert json.loads((out / "_run.json").read_text())["complete"] is False
        assert list(out.rglob(".*.aside")) == []
        kept = sum(map(len, read_table(out).values()))
        assert 0 < kept < 500
        service.received_texts()
        disk.grow(kilobytes=4096)
        assert score(out).exit_code == 0
        assert len(service.received_texts()) == 500 - kept
        assert read_table(out) == read_table(tmp_path / "uninterrupted")
