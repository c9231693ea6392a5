"""`undertone score` as a process, as its Pushgateway, its DataDog agent, Prometheus and its log see it."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.request import urlopen

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families
from undertone_client.testing import FakeClassifier, ItemFault
from undertone_telemetry.testing import Agent, Gateway, pushgateway, udp_agent

from tests.integration.processes import ENVIRONMENT, PATIENCE_SECONDS, command

PARAGRAPHS = 24
JOB = "novels"
STARTED, SUCCEEDED, FAILED = (f"undertone job {JOB} {what}" for what in ("started", "succeeded", "failed"))
EVENT = re.compile(r"_e\{\d+,\d+\}:(?P<title>[^|]*)\|(?P<text>[^|]*)(?P<rest>(\|.*)?)")


class Observed:
    """Where a run reports to; `score` starts one."""

    def __init__(self, service: FakeClassifier, gateway: Gateway, agent: Agent, folder: Path) -> None:
        self.service = service
        self.gateway = gateway
        self._agent = agent
        self._folder = folder
        self._packets: list[str] = []

    async def score(self, *options: str) -> asyncio.subprocess.Process:
        source = self._folder / "novel.txt"
        source.write_text("\n\n".join(f"Paragraph number {index}." for index in range(PARAGRAPHS)))
        flags = (f"--pushgateway={self.gateway.url}", f"--dogstatsd={self._agent.address}", f"--job={JOB}")
        program = [command("undertone"), "score", str(source), f"--out={self._folder / 'out'}"]
        pipe = asyncio.subprocess.PIPE
        environment = ENVIRONMENT | {"UNDERTONE_TARGET": self.service.target}
        return await asyncio.create_subprocess_exec(
            *program, "--limit=2", "--batch-items=4", *flags, *options, env=environment, stdout=pipe, stderr=pipe
        )

    def packets(self) -> list[str]:
        """Lines that the agent was sent."""
        self._packets += [line for packet in self._agent.packets() for line in packet.splitlines()]
        return self._packets

    def events(self) -> list[tuple[str, str, str]]:
        """Titles, texts, and what else there is, of the agent's events."""
        found = [EVENT.fullmatch(line) for line in self.packets() if line.startswith("_e")]
        return [(event["title"], event["text"], event["rest"]) for event in found if event]

    def counted(self, name: str, *tags: str) -> int:
        """The sum of a counter's packets with these tags."""
        ending = f"|c|#{','.join(tags)}"
        values = [line.removesuffix(ending).removeprefix(f"{name}:") for line in self.packets() if line.startswith(f"{name}:")]
        return sum(int(float(value)) for value in values if "|" not in value)


Befall = Callable[[Observed, asyncio.subprocess.Process], Awaitable[None]]


@pytest.fixture
async def observed(tmp_path: Path) -> AsyncIterator[Observed]:
    async with FakeClassifier() as service:
        with pushgateway() as gateway, udp_agent() as agent:
            yield Observed(service, gateway, agent, tmp_path)


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
    await asyncio.to_thread(observed.gateway.until_pushed, 1)
    first = observed.gateway.pushes[0]
    assert (first.method, first.job) == ("POST", JOB)
    assert first.value("undertone_job_running", job=JOB) == 1
    assert first.value("undertone_job_last_success_timestamp_seconds", job=JOB) is None

    page = await asyncio.to_thread(read, said[1]["message"].removeprefix("Metrics are at "))
    samples = {
        (sample.name, sample.labels.get("grpc_method") or sample.labels.get("state")): sample.value
        for family in text_string_to_metric_families(page)
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
    final = observed.gateway.pushes[-1]
    assert final.value("undertone_job_running", job=JOB) == 0
    assert final.value("undertone_job_paragraphs_total", job=JOB, code="OK") == PARAGRAPHS
    assert final.value("undertone_job_expected_paragraphs", job=JOB) == PARAGRAPHS
    assert final.value("undertone_job_failed_total", job=JOB) == 0
    success = final.value("undertone_job_last_success_timestamp_seconds", job=JOB)
    assert success is not None
    assert success >= (final.value("undertone_job_started_timestamp_seconds", job=JOB) or 0) > 0

    assert [(title, rest) for title, _, rest in observed.events()] == [
        (STARTED, f"|t:info|#job:{JOB}"),
        (SUCCEEDED, f"|t:success|#job:{JOB}"),
    ]
    assert observed.counted("undertone_client_paragraphs", "code:OK") == PARAGRAPHS
    assert observed.counted("undertone_job_paragraphs", f"job:{JOB}", "code:OK") == PARAGRAPHS
    assert not any("Paragraph number" in line for line in [log, page, *observed.packets()])


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
        (terminate, 143, "terminated; what was scored is in ", {}),
        (refuse_one, 1, "1 paragraph has no score, see ", {"INVALID_ARGUMENT": 1}),
        (go_away, 3, "does not answer (UNAVAILABLE: ", {"UNAVAILABLE": 16}),
    ],
)
async def test_a_run_that_fails(observed: Observed, befall: Befall, code: int, reason: str, failures: dict[str, int]) -> None:
    observed.service.gate.clear()
    run = await observed.score("--patience=0", "--attempts=1")
    await observed.service.until_in_flight(2)
    await befall(observed, run)
    assert (await ended(run))[0] == code
    last = observed.gateway.pushes[-1]
    assert last.value("undertone_job_running", job=JOB) == 0
    assert last.value("undertone_job_failed_total", job=JOB) == 1
    assert last.value("undertone_job_last_success_timestamp_seconds", job=JOB) is None
    for status, count in failures.items():
        assert last.value("undertone_job_paragraphs_total", job=JOB, code=status) == count
    [started, (title, text, rest)] = observed.events()
    assert (started[0], title, rest) == (STARTED, FAILED, f"|t:error|#job:{JOB}")
    assert reason in text


async def test_a_run_that_nobody_listens_to(observed: Observed) -> None:
    run = await observed.score("--pushgateway=http://127.0.0.1:1", "--dogstatsd=127.0.0.1:1")
    code, errors = await ended(run)
    assert code == 0
    assert errors.count("the Pushgateway at 127.0.0.1:1 takes no metrics") == 1
