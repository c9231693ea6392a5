"""Metrics, events and logs of `undertone score`, run as a process."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families
from undertone_client.telemetry import CATALOGUE as CLIENT
from undertone_client.testing import FakeClassifier, ItemFault
from undertone_telemetry.dispatch import CATALOGUE as TELEMETRY
from undertone_telemetry.jobs import CATALOGUE as JOBS

from tests.integration.support.processes import ENVIRONMENT, TIMEOUT_SECONDS, command
from tests.integration.support.reports import Reports, reports

PARAGRAPHS = 24
JOB = "novels"
STARTED, SUCCEEDED, FAILED = (f"undertone job {JOB} {what}" for what in ("started", "succeeded", "failed"))


@dataclass(frozen=True, slots=True)
class Monitored:
    """A service, and the receivers of the run's telemetry. `score` starts a run."""

    service: FakeClassifier
    reports: Reports
    folder: Path

    async def score(self, *options: str) -> asyncio.subprocess.Process:
        source = self.folder / "novel.txt"
        source.write_text("\n\n".join(f"Paragraph number {index}." for index in range(PARAGRAPHS)))
        flags = (f"--out={self.folder / 'out'}", "--limit=2", "--batch-items=4", f"--job={JOB}", *self.reports.flags)
        program = [command("undertone"), "score", str(source), *flags, *options]
        pipe = asyncio.subprocess.PIPE
        environment = ENVIRONMENT | {"UNDERTONE_TARGET": self.service.target}
        return await asyncio.create_subprocess_exec(*program, env=environment, stdout=pipe, stderr=pipe)


Disturbance = Callable[[Monitored, asyncio.subprocess.Process], Awaitable[None]]


@pytest.fixture
async def monitored(tmp_path: Path) -> AsyncIterator[Monitored]:
    async with FakeClassifier() as service:
        with reports() as received:
            yield Monitored(service, received, tmp_path)


def read(url: str) -> str:
    with urlopen(url) as page:  # noqa: S310 - of a process of ours
        return str(page.read().decode())


async def wait_for_end(run: asyncio.subprocess.Process) -> tuple[int, str]:
    """The exit code and the standard error output."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        _, errors = await run.communicate()
    assert run.returncode is not None
    assert b"Traceback" not in errors, errors.decode()
    return run.returncode, errors.decode()


async def test_successful_run(monitored: Monitored) -> None:
    monitored.service.gate.clear()
    run = await monitored.score("--metrics-port=0", "--log-format=json", "--finish-by=8h")
    assert run.stderr is not None
    messages = [json.loads(await run.stderr.readline()) for _ in range(2)]
    assert [messages[0]["message"], messages[0]["job"]] == [STARTED, JOB]
    await monitored.service.until_in_flight(2)
    await asyncio.to_thread(monitored.reports.gateway.wait_for_pushes, 1)
    first = monitored.reports.gateway.pushes[0]
    assert (first.method, first.job) == ("POST", JOB)
    assert first.value("undertone_job_running", job=JOB) == 1
    assert first.value("undertone_job_last_success_timestamp_seconds", job=JOB) is None

    page = await asyncio.to_thread(read, messages[1]["message"].removeprefix("Metrics: "))
    families = [family for family in text_string_to_metric_families(page) if not family.name.startswith("process_")]
    documented = {metric.name: metric for metric in (*CLIENT, *JOBS, *TELEMETRY)}
    assert {family.name + "_total" * (family.type == "counter") for family in families} == set(documented)
    for family in families:
        metric = documented[family.name + "_total" * (family.type == "counter")]
        assert (family.type, family.documentation) == (metric.kind.value, metric.help)
        assert all(set(sample.labels) - {"le"} == set(metric.labels) for sample in family.samples)
    samples = {
        (sample.name, sample.labels.get("grpc_method") or sample.labels.get("state")): sample.value
        for family in families
        for sample in family.samples
    }
    assert samples["grpc_client_in_flight", "ClassifyBatch"] == 2
    assert samples["undertone_client_limit", None] == 2
    assert samples["undertone_job_backlog_paragraphs", None] == PARAGRAPHS
    assert [samples["undertone_client_breaker_state", state] for state in ("closed", "open", "half_open")] == [1, 0, 0]

    monitored.service.gate.set()
    code, log = await wait_for_end(run)
    assert code == 0
    *_, last = [json.loads(line) for line in log.splitlines()]
    assert (last["level"], last["message"].partition(": ")[0]) == ("INFO", SUCCEEDED)
    final = monitored.reports.gateway.pushes[-1]
    assert final.value("undertone_job_running", job=JOB) == 0
    assert final.value("undertone_job_paragraphs_total", job=JOB, code="OK") == PARAGRAPHS
    assert final.value("undertone_job_expected_paragraphs", job=JOB) == PARAGRAPHS
    assert final.value("undertone_job_failed_total", job=JOB) == 0
    assert final.value("undertone_job_backlog_paragraphs", job=JOB) == 0
    started = final.value("undertone_job_started_timestamp_seconds", job=JOB) or 0
    finish_by = final.value("undertone_job_finish_by_timestamp_seconds", job=JOB) or 0
    assert finish_by - started == pytest.approx(8 * 3600, abs=60)
    success = final.value("undertone_job_last_success_timestamp_seconds", job=JOB)
    assert success is not None
    assert success >= (final.value("undertone_job_started_timestamp_seconds", job=JOB) or 0) > 0

    assert [(event.title, event.type, event.tags) for event in monitored.reports.events()] == [
        (STARTED, "info", f"job:{JOB}"),
        (SUCCEEDED, "success", f"job:{JOB}"),
    ]
    assert monitored.reports.counter("undertone_client_paragraphs", "code:OK") == PARAGRAPHS
    assert monitored.reports.counter("undertone_job_paragraphs", f"job:{JOB},code:OK") == PARAGRAPHS
    assert not any("Paragraph number" in line for line in [log, page, *monitored.reports.lines()])


async def terminate(monitored: Monitored, run: asyncio.subprocess.Process) -> None:
    run.terminate()


async def refuse_one(monitored: Monitored, run: asyncio.subprocess.Process) -> None:
    monitored.service.item_faults = {"Paragraph number 7.": ItemFault(grpc.StatusCode.INVALID_ARGUMENT)}
    monitored.service.gate.set()


async def go_away(monitored: Monitored, run: asyncio.subprocess.Process) -> None:
    await monitored.service.stop()


@pytest.mark.parametrize(
    ("disturb", "code", "reason", "failures"),
    [
        (terminate, 143, "terminated; the scores so far are saved in ", {}),
        (refuse_one, 1, "1 paragraph has no score, see ", {"INVALID_ARGUMENT": 1}),
        (go_away, 3, "does not answer (UNAVAILABLE: ", {"UNAVAILABLE": 16}),
    ],
)
async def test_failed_run(monitored: Monitored, disturb: Disturbance, code: int, reason: str, failures: dict[str, int]) -> None:
    monitored.service.gate.clear()
    run = await monitored.score("--patience=0", "--attempts=1", "--log-format=json")
    await monitored.service.until_in_flight(2)
    await disturb(monitored, run)
    exit_code, log = await wait_for_end(run)
    assert exit_code == code
    message = json.loads(log.splitlines()[-1])
    assert (message["level"], message["message"].partition(": ")[0]) == ("ERROR", FAILED)
    last = monitored.reports.gateway.pushes[-1]
    assert last.value("undertone_job_running", job=JOB) == 0
    assert last.value("undertone_job_failed_total", job=JOB) == 1
    assert last.value("undertone_job_last_success_timestamp_seconds", job=JOB) is None
    for status, count in failures.items():
        assert last.value("undertone_job_paragraphs_total", job=JOB, code=status) == count
    [started, failed] = monitored.reports.events()
    assert (started.title, failed.title, failed.type, failed.tags) == (STARTED, FAILED, "error", f"job:{JOB}")
    assert reason in failed.text


async def test_unreachable_receivers_do_not_fail_the_run(monitored: Monitored) -> None:
    run = await monitored.score("--pushgateway=http://127.0.0.1:1", "--dogstatsd=127.0.0.1:1")
    code, errors = await wait_for_end(run)
    assert code == 0
    assert errors.count("the Pushgateway at 127.0.0.1:1 rejects metrics") == 1
