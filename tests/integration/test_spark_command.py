"""`undertone-batch run` as a process of its own, killed in the middle and started again."""

import os
import signal
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.integration import spark_parts
from tests.integration.spark_table import assert_right, read
from tests.integration.support.processes import ENVIRONMENT, PATIENCE_SECONDS, command, until
from tests.integration.support.reports import reports

pytestmark = spark_parts.needs_java

TEXTS = {str(number): f"Paragraph {number} of a run that is killed" for number in range(400)}


def test_a_killed_driver_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    source, table = tmp_path / "source.parquet", tmp_path / "table"
    pq.write_table(pa.table({"id": list(TEXTS), "text": list(TEXTS.values())}), source)
    service = spark_parts.Service()
    options = ["--mode=backfill", f"--source={source}", f"--table={table}", f"--target={service.target}"]
    program = [command("undertone-batch"), "run", *options, "--buckets=2", "--wave-rows=1", "--limit=2"]
    environment = ENVIRONMENT | {
        "PYSPARK_SUBMIT_ARGS": " ".join(f"--conf {name}='{value}'" for name, value in spark_parts.SETTINGS.items())
        + " --master local[2,4] pyspark-shell"
    }
    try:
        driver = subprocess.Popen(program, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            until(lambda: driver.poll() is not None or (table / "versions/00000001.json").exists(), "the first commit")
            service.shut_gate()
            service.until_in_flight(1)
        finally:
            os.killpg(driver.pid, signal.SIGKILL)
            driver.wait()
        committed = read(table)
        assert 0 < len(committed) < len(TEXTS)
        until(lambda: service.fake.in_flight == 0, "the calls of the killed are gone")
        service.open_gate()
        service.sent()
        with reports() as heard:
            done = subprocess.run(
                [*program, *heard.flags], check=False, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS
            )
            events = heard.events()
    finally:
        service.close()
    assert done.returncode == 0, done.stderr
    assert [event.title for event in events] == ["undertone job backfill started", "undertone job backfill succeeded"]
    pushed = heard.gateway.pushes[-1]
    assert pushed.value("undertone_job_paragraphs_total", job="backfill", code="OK") == len(TEXTS) - len(committed)
    assert pushed.value("undertone_job_expected_paragraphs", job="backfill") == len(TEXTS) - len(committed)
    assert pushed.value("undertone_job_last_success_timestamp_seconds", job="backfill")
    assert f"{len(committed):,} current" in done.stderr
    # A worker of the killed driver can outlive it by a few calls, so some may have been sent once more than this run did.
    assert set(service.sent()) == {text for ident, text in TEXTS.items() if ident not in committed}
    assert_right(table, TEXTS)
