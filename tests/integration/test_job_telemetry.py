"""`undertone score` as a process, as its Pushgateway, its DataDog agent, Prometheus and its log see it."""

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

from tests.integration.support.processes import ENVIRONMENT, PATIENCE_SECONDS, command
from tests.integration.support.reports import Reports, reports

PARAGRAPHS = 24
JOB = "novels"
STARTED, SUCCEEDED, FAILED = (f"undertone job {JOB} {what}" for what in ("started", "succeeded", "failed"))


@dataclass(frozen=True, slots=True)
class Observed:
    """A service, and who hears of a run; `score` starts one."""

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


Befall = Callable[[Observed, asyncio.subprocess.Process], Awaitable[None]]


@pytest.fixture
async def observed(tmp_path: Path) -> AsyncIterator[Observed]:
    async with FakeClassifier() as service:
        with reports() as heard:
            yield Observed(service, heard, tmp_path)


def read(url: str) -> str:
    with urlopen(url) as page:  # noqa: S310 - of a process of ours
        return str(page.read().decode())


async def ended(run: asyncio.subprocess.Process) -> tuple[int, str]:
    """The exit code, and what was said besides the results."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        _, errors = await run.communicate()
    assert run.returncode is not None
    assert b"Traceback" not in errors, errors.decode()
    return run.returncode, errors.decode()


async def test_a_run_from_its_beginning_to_its_end(observed: Observed) -> None:
    observed.service.gate.clear()
    run = await observed.score("--metrics-port=0", "--log-format=json")
    assert run.stderr is not None
    said = [json.loads(await run.stderr.readline()) for _ in range(2)]
    assert [said[0]["message"], said[0]["job"]] == [STARTED, JOB]
    await observed.service.until_in_flight(2)
    await asyncio.to_thread(observed.reports.gateway.wait_for_pushes, 1)
    first = observed.reports.gateway.pushes[0]
    assert (first.method, first.job) == ("POST", JOB)
    assert first.value("undertone_job_running", job=JOB) == 1
    assert first.value("undertone_job_last_success_timestamp_seconds", job=JOB) is None

    page = await asyncio.to_thread(read, said[1]["message"].removeprefix("Metrics: "))
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
    assert [samples["undertone_client_breaker_state", state] for state in ("closed", "open", "half_open")] == [1, 0, 0]

    observed.service.gate.set()
    code, log = await ended(run)
    assert code == 0
    *_, last = [json.loads(line) for line in log.splitlines()]
    assert (last["level"], last["message"].partition(": ")[0]) == ("INFO", SUCCEEDED)
    final = observed.reports.gateway.pushes[-1]
    assert final.value("undertone_job_running", job=JOB) == 0
    assert final.value("undertone_job_paragraphs_total", job=JOB, code="OK") == PARAGRAPHS
    assert final.value("undertone_job_expected_paragraphs", job=JOB) == PARAGRAPHS
    assert final.value("undertone_job_failed_total", job=JOB) == 0
    success = final.value("undertone_job_last_success_timestamp_seconds", job=JOB)
    assert success is not None
    assert success >= (final.value("undertone_job_started_timestamp_seconds", job=JOB) or 0) > 0

    assert [(event.title, event.type, event.tags) for event in observed.reports.events()] == [
        (STARTED, "info", f"job:{JOB}"),
        (SUCCEEDED, "success", f"job:{JOB}"),
    ]
    assert observed.reports.counter("undertone_client_paragraphs", "code:OK") == PARAGRAPHS
    assert observed.reports.counter("undertone_job_paragraphs", f"job:{JOB},code:OK") == PARAGRAPHS
    assert not any("Paragraph number" in line for line in [log, page, *observed.reports.lines()])


async def terminate(observed: Observed, run: asyncio.subprocess.Process) -> None:
    run.terminate()


async def refuse_one(observed: Observed, run: asyncio.subprocess.Process) -> None:
    observed.service.item_faults = {"Paragraph number 7.": ItemFault(grpc.StatusCode.INVALID_ARGUMENT)}
    observed.service.gate.set()


async def go_away(observed: Observed, run: asyncio.subprocess.Process) -> None:
    await observed.service.stop()


@pytest.mark.parametrize(
    ("befall", "code", "reason", "failures"),
    [
        (terminate, 143, "terminated; the scores so far are saved in ", {}),
        (refuse_one, 1, "1 paragraph has no score, see ", {"INVALID_ARGUMENT": 1}),
        (go_away, 3, "does not answer (UNAVAILABLE: ", {"UNAVAILABLE": 16}),
    ],
)
async def test_a_run_that_fails(observed: Observed, befall: Befall, code: int, reason: str, failures: dict[str, int]) -> None:
    observed.service.gate.clear()
    run = await observed.score("--patience=0", "--attempts=1", "--log-format=json")
    await observed.service.until_in_flight(2)
    await befall(observed, run)
    ended_with, log = await ended(run)
    assert ended_with == code
    said = json.loads(log.splitlines()[-1])
    assert (said["level"], said["message"].partition(": ")[0]) == ("ERROR", FAILED)
    last = observed.reports.gateway.pushes[-1]
    assert last.value("undertone_job_running", job=JOB) == 0
    assert last.value("undertone_job_failed_total", job=JOB) == 1
    assert last.value("undertone_job_last_success_timestamp_seconds", job=JOB) is None
    for status, count in failures.items():
        assert last.value("undertone_job_paragraphs_total", job=JOB, code=status) == count
    [started, failed] = observed.reports.events()
    assert (started.title, failed.title, failed.type, failed.tags) == (STARTED, FAILED, "error", f"job:{JOB}")
    assert reason in failed.text


async def test_a_run_that_nobody_listens_to(observed: Observed) -> None:
    run = await observed.score("--pushgateway=http://127.0.0.1:1", "--dogstatsd=127.0.0.1:1")
    code, errors = await ended(run)
    assert code == 0
    assert errors.count("the Pushgateway at 127.0.0.1:1 rejects metrics") == 1
