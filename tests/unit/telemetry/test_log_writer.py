"""The log of a process whose standard error is read, or not."""

import json
import os
import subprocess
import sys

PROGRAM = """
import logging, sys
from undertone_telemetry import logs
logs.configure_service("json")
for number in range(int(sys.argv[1])):
    logging.getLogger("undertone").info(f"{number} {'x' * 200}")
print("done", flush=True)
"""


def test_a_process_whose_log_is_not_read_does_not_block() -> None:
    reading, writing = os.pipe()
    try:
        # 2 MB do not fit into the pipe. The process must end although nothing is read.
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, "10000"], check=True, stdout=subprocess.PIPE, stderr=writing, timeout=60
        )
    finally:
        os.close(reading)
        os.close(writing)
    assert done.stdout == b"done\n"


def test_all_records_are_written_before_the_process_ends() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, "500"], check=True, capture_output=True, timeout=60)
    messages = [json.loads(line)["message"] for line in done.stderr.splitlines()]
    assert [message.split()[0] for message in messages] == [str(number) for number in range(500)]


def test_dropped_records_are_counted() -> None:
    program = (
        PROGRAM
        + """
from undertone_telemetry.log_writer import LogWriter
writer = LogWriter(capacity=10)
logging.basicConfig(handlers=[writer.handler], force=True, level=logging.INFO)
for number in range(30):
    logging.info("record %d", number)
writer.start()
writer.flush()
logging.info("last")
"""
    )
    done = subprocess.run([sys.executable, "-c", program, "0"], check=True, capture_output=True, timeout=60)
    assert b"20 log records were dropped" in done.stderr
    assert b"last" in done.stderr
