"""Signals to the driver of `undertone-batch run` and to its Java process."""

import os
import signal
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.integration.support.background_service import BackgroundService
from tests.integration.support.processes import ENVIRONMENT, TIMEOUT_SECONDS, command
from tests.integration.support.score_table import NAME
from tests.integration.support.spark import SETTINGS, needs_iceberg, needs_java, submit_arguments

pytestmark = [needs_java, needs_iceberg]


def test_sigterm_to_the_driver_and_to_java_ends_the_run_without_a_traceback(service: BackgroundService, tmp_path: Path) -> None:
    """A supervisor such as systemd signals all processes of a service."""
    source = tmp_path / "source.parquet"
    pq.write_table(pa.table({"id": [1], "text": ["A paragraph that is never answered"]}), source)
    options = [f"--source={source}", f"--table={NAME}", f"--warehouse={tmp_path / 'lake'}", f"--target={service.target}"]
    environment = ENVIRONMENT | {"PYSPARK_SUBMIT_ARGS": submit_arguments("local[2,4]", SETTINGS)}
    service.close_gate()
    program = [command("undertone-batch"), "run", "--mode=daily", *options]
    driver = subprocess.Popen(program, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        service.wait_for_in_flight(1)
        os.killpg(driver.pid, signal.SIGTERM)
        _, output = driver.communicate(timeout=TIMEOUT_SECONDS)
    finally:
        service.open_gate()
        if driver.poll() is None:
            os.killpg(driver.pid, signal.SIGKILL)
            driver.wait()
    assert driver.returncode == 143, output
    assert "Error: terminated" in output
    for word in ("Traceback", "py4j", "Exception"):
        assert word not in output, output
