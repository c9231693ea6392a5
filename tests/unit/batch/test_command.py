import logging
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from undertone_batch.command import undertone_batch, write_summary
from undertone_client.jobs import OutputError

from tests.unit.batch.test_summary import SUMMARY


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--option", "sep"], "--option 'sep' is not NAME=VALUE: write for example --option sep=;"),
        (["--limit", "many"], "--limit 'many' is invalid: use adaptive, aimd or a number."),
        (["--attempts", "0"], "0 is not in the range x>=1"),
        (["--max-failed-share", "2"], "max_failed_share is 2.0"),
        (["--max-deleted-share", "-1"], "max_deleted_share is -1.0: use a share from 0 to 1"),
        (["--format", "csv", "--option", "mode=DROPMALFORMED"], "--option mode=DROPMALFORMED removes rows"),
        (["--key", __file__], "add --tls"),
        (["--table-format", "parquet", "--partition-by", "id"], "--partition-by is for Iceberg tables"),
        (["--mode", "weekly"], "'weekly' is not one of"),
        (["--finish-by", "2020-01-01T06:00Z"], "'2020-01-01T06:00Z' has passed"),
    ],
)
def test_invalid_options_are_rejected(arguments: list[str], message: str, tmp_path: Path) -> None:
    command = ["run", "--mode", "daily", "--source", str(tmp_path), "--table", "a.b", "--warehouse", str(tmp_path), *arguments]
    result = CliRunner().invoke(undertone_batch, command)
    assert result.exit_code == 2
    assert message in result.output


def test_a_summary_that_cannot_be_written_does_not_hide_the_error_of_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    write_summary(tmp_path / "summary.json", SUMMARY)
    assert (tmp_path / "summary.json").read_text() == SUMMARY.to_json()
    with pytest.raises(OutputError, match=r"Is a directory\. The run succeeded, but set --summary to a different file"):
        write_summary(tmp_path, SUMMARY)
    write_summary(tmp_path, replace(SUMMARY, error="the table is full"))
    assert "cannot be written: Is a directory" in caplog.text
