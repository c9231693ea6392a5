"""`undertone-batch run` as a process that is killed and started again."""

import os
import signal
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.integration.support.background_service import BackgroundService
from tests.integration.support.processes import ENVIRONMENT, TIMEOUT_SECONDS, command, until
from tests.integration.support.reports import reports
from tests.integration.support.score_table import NAME, assert_scores_of, commits, read
from tests.integration.support.spark import SETTINGS, needs_iceberg, needs_java, submit_arguments

pytestmark = [needs_java, needs_iceberg]

TEXTS = {str(number): f"Paragraph {number} of a run that is killed" for number in range(400)}


def test_a_killed_driver_loses_no_committed_score(service: BackgroundService, tmp_path: Path) -> None:
    source, lake = tmp_path / "source.parquet", tmp_path / "lake"
    pq.write_table(pa.table({"id": list(TEXTS), "text": list(TEXTS.values())}), source)
    options = ["--mode=backfill", f"--source={source}", f"--table={NAME}", f"--warehouse={lake}", f"--target={service.target}"]
    program = [command("undertone-batch"), "run", *options, "--buckets=2", "--wave-rows=1", "--limit=2"]
    # An extension of the user. Spark only warns that its class is missing.
    settings = SETTINGS | {"spark.sql.extensions": "com.example.UserExtensions"}
    environment = ENVIRONMENT | {"PYSPARK_SUBMIT_ARGS": submit_arguments("local[2,4]", settings)}
    driver = subprocess.Popen(program, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        until(lambda: driver.poll() is not None or commits(lake) > 0, "the first commit")
        service.close_gate()
        service.wait_for_in_flight(1)
    finally:
        os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()
    committed = read(lake)
    assert 0 < len(committed) < len(TEXTS)
    until(lambda: service.fake.in_flight == 0, "the calls of the killed processes have ended")
    service.open_gate()
    service.received_texts()
    with reports() as received:
        second = subprocess.run(
            [*program, *received.flags],
            check=False,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
        )
        events = received.events()
    assert second.returncode == 0, second.stderr
    assert [event.title for event in events] == ["undertone job backfill started", "undertone job backfill succeeded"]
    push = received.gateway.pushes[-1]
    assert push.value("undertone_job_paragraphs_total", job="backfill", code="OK") == len(TEXTS) - len(committed)
    assert push.value("undertone_job_expected_paragraphs", job="backfill") == len(TEXTS) - len(committed)
    assert push.value("undertone_job_last_success_timestamp_seconds", job="backfill")
    assert f"{len(committed):,} current" in second.stderr
    # A set, because a worker of the killed driver may send a few more calls.
    assert set(service.received_texts()) == {text for ident, text in TEXTS.items() if ident not in committed}
    assert_scores_of(lake, TEXTS)
