"""Tasks with the real Luigi and its local scheduler, in an environment of its own."""

import json
import subprocess

from tests.integration.schedules.conftest import SmallTable, program
from tests.integration.support.processes import command
from tests.integration.support.spark import needs_iceberg, needs_java

pytestmark = [needs_java, needs_iceberg]

TIMEOUT_SECONDS = 600


def run(small_table: SmallTable, task: str, *arguments: str) -> str:
    """Runs a task and returns the log of Luigi, which ends with a summary."""
    settings = {
        "source": f"{small_table.source}/{{date}}",
        "table": "emotions.posts",
        "warehouse": str(small_table.warehouse),
        "target": small_table.service.target,
        "command": json.dumps([command("undertone-batch")]),
        "dogstatsd": small_table.reports.agent.address,
        "options": json.dumps(["--buckets=1", "--max-deleted-share=1"]),
    }
    options = [part for name, value in settings.items() for part in (f"--{name}", value)]
    luigi = [program("luigi", "luigi"), "--module", "undertone_schedules.luigi_tasks", task, "--local-scheduler"]
    done = subprocess.run(
        [*luigi, *options, *arguments],
        env=small_table.environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_missed_days_run_in_order_and_a_complete_day_does_not_run_again(small_table: SmallTable) -> None:
    partial = ("--is-partial", "true", "--start", "2026-11-26", "--date", "2026-11-27")
    assert "2 ran successfully" in run(small_table, "UndertoneDaily", *partial)
    runs = small_table.snapshots()
    assert runs == ["daily-20261126T000000", "daily-20261127T000000"]
    assert small_table.present_ids() == {"a", "b"}
    assert "Did not run any tasks" in run(small_table, "UndertoneDaily", *partial)
    assert small_table.snapshots() == runs
    assert small_table.outcomes("undertone_daily") == ["succeeded"] * 2

    log = run(small_table, "UndertoneDaily", *partial[:-1], "2026-11-28", "--options", '["--wave-rows=none"]')
    assert "1 failed" in log
    assert small_table.outcomes("undertone_daily") == ["succeeded", "succeeded", "failed"]
    assert "a-secret-value" not in log


def test_a_missing_input_starts_no_run(small_table: SmallTable) -> None:
    missing = str(small_table.folder / "{date}/_SUCCESS")
    log = run(small_table, "UndertoneBackfill", "--date", "2026-11-28", "--wait-for", missing)
    assert "1 failed external dependencies" in log or "missing external dependencies" in log
    assert small_table.outcomes("undertone_backfill") == []
