"""What comes out of a real socket, at an agent that reads, sleeps or is not there. Flushes are asked for, never waited for."""

import logging
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from undertone_telemetry.dogstatsd import DogStatsD
from undertone_telemetry.metric import Kind, Measurement, Metric
from undertone_telemetry.notice import Level, Notice
from undertone_telemetry.testing import Agent, Line, counted, udp_agent, unix_agent

STEPS = Metric("steps_total", Kind.COUNTER, "Steps taken.", ("foot", "shoe"))
HEIGHT = Metric("height_meters", Kind.GAUGE, "Above the sea.")
STRIDE = Metric("stride_meters", Kind.HISTOGRAM, "Length of a step.", ("foot",), (0.5, 1.0))
SHOE = Metric("shoe_info", Kind.INFO, "What is worn.", ("size",))


@pytest.fixture(params=["udp", "unix"])
def agent(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Agent]:
    with udp_agent() if request.param == "udp" else unix_agent(tmp_path) as listening:
        yield listening


def no_loss(packets: int) -> None:
    raise AssertionError(f"{packets} packets were lost")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DD_ENV", "DD_SERVICE", "DD_VERSION", "DD_ENTITY_ID", "DATADOG_TAGS"):
        monkeypatch.delenv(name, raising=False)
    # Else packets would end with this container's id, if it has one.
    monkeypatch.setenv("DD_ORIGIN_DETECTION_ENABLED", "false")


def test_names_values_types_and_tags_arrive_in_few_packets(agent: Agent) -> None:
    with closing(DogStatsD(agent.address, no_loss, flush_seconds=3600)) as dogstatsd:
        for measurement in (
            Measurement(STEPS, 1, ("left", "on")),
            Measurement(STEPS, 2, ("left", "on")),
            Measurement(STEPS, 1, ("right", "off")),
            Measurement(HEIGHT, 3),
            Measurement(HEIGHT, 2.5),
            Measurement(STRIDE, 0.75, ("left",)),
            Measurement(STRIDE, 0.5, ("left",)),
            Measurement(SHOE, 1, ("42",)),
            Measurement(SHOE, 1, ("43",)),
        ):
            dogstatsd.record(measurement)
        assert agent.packets() == [], "nothing is sent in the middle of a call"
    (packet,) = agent.packets()
    assert set(packet.splitlines()) == {
        "steps:3|c|#foot:left,shoe:on",
        "steps:1|c|#foot:right,shoe:off",
        "height_meters:2.5|g",
        "stride_meters:0.75|d|#foot:left",
        "stride_meters:0.5|d|#foot:left",
        "shoe_info:1|g|#size:43",
    }


def test_the_environments_tags_are_on_everything(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("DD_ENV", "reading"), ("DD_SERVICE", "undertone"), ("DD_VERSION", "1.2")):
        monkeypatch.setenv(name, value)
    with closing(DogStatsD(agent.address, no_loss)) as dogstatsd:
        dogstatsd.record(Measurement(HEIGHT, 2))
    (line,) = agent.lines()
    assert line == Line("height_meters", 2, "g", 1, ("env:reading", "service:undertone", "version:1.2"))


def test_of_many_observations_some_are_sent_with_their_rate_and_counters_whole(agent: Agent) -> None:
    many = 1024
    with closing(DogStatsD(agent.address, no_loss, flush_seconds=3600)) as dogstatsd:
        for number in range(many):
            dogstatsd.record(Measurement(STRIDE, number / many, ("left",)))
            dogstatsd.record(Measurement(STEPS, 1, ("left", "on")))
    lines = agent.lines()
    strides = [line for line in lines if line.name == "stride_meters"]
    assert {line.rate for line in strides} == {0.0625}
    assert len({line.value for line in strides}) == len(strides), "each observation at most once"
    # About 64; the chance to be this far off is one in a billion.
    assert 16 <= len(strides) <= 112
    assert counted(lines) == {("steps", ("foot:left", "shoe:on")): many}


def test_notices_become_events(agent: Agent) -> None:
    with closing(DogStatsD(agent.address, no_loss)) as dogstatsd:
        dogstatsd.tell(Notice("job failed", "no room\nleft", Level.ERROR, (("job", "daily"),)))
    assert agent.packets() == ["_e{10,13}:job failed|no room\\nleft|t:error|#job:daily\n"]


def test_gauges_are_said_again_because_agents_forget(agent: Agent) -> None:
    with closing(DogStatsD(agent.address, no_loss, flush_seconds=3600)) as dogstatsd:
        dogstatsd.record(Measurement(STEPS, 1, ("left", "on")))
        for size in ("42", "43"):
            dogstatsd.record(Measurement(SHOE, 1, (size,)))
            dogstatsd.flush()
        dogstatsd.flush()
    said = [(line.name, line.tags) for line in agent.lines()]
    assert said.count(("shoe_info", ("size:42",))) == 1, "what no longer holds is not repeated"
    assert said.count(("shoe_info", ("size:43",))) == 3
    assert said.count(("steps", ("foot:left", "shoe:on"))) == 1


@pytest.mark.parametrize("address", ["127.0.0.1:{port}", "unix://{folder}/nobody.sock"])
def test_an_agent_that_is_away_costs_nothing_and_is_said_once(
    address: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    lost: list[int] = []
    caplog.set_level(logging.INFO)
    dogstatsd = DogStatsD(address.format(port=port, folder=tmp_path), lost.append, patience_seconds=0.1)
    for number in range(5):
        dogstatsd.record(Measurement(HEIGHT, number))
        dogstatsd.flush()
    dogstatsd.close()
    assert sum(lost) > 0
    messages = [record.msg for record in caplog.records]
    assert len(messages) == len(set(messages)) <= 2


def test_an_agent_that_comes_late_hears_of_everything(tmp_path: Path) -> None:
    dogstatsd = DogStatsD(f"unix://{tmp_path}/dsd.sock", no_loss)
    dogstatsd.record(Measurement(STEPS, 1, ("left", "on")))
    dogstatsd.flush()
    with unix_agent(tmp_path) as agent:
        dogstatsd.record(Measurement(STEPS, 2, ("left", "on")))
        dogstatsd.close()
        assert sum(line.value for line in agent.lines() if line.name == "steps") == 3


def test_an_agent_that_does_not_read_costs_packets_and_no_time(tmp_path: Path) -> None:
    lost: list[int] = []
    with unix_agent(tmp_path, deaf=True) as agent, closing(DogStatsD(agent.address, lost.append)) as dogstatsd:
        # Far more than the socket holds and the queue keeps: a record or a flush that waited would never end.
        for number in range(2000):
            dogstatsd.record(Measurement(HEIGHT, number))
            dogstatsd.flush()
        assert sum(lost) > 0
        heard: list[Line] = []
        while not any(line.value == 1999 for line in heard):
            heard += agent.lines()


def test_labels_that_are_not_the_metrics_are_refused_at_once(agent: Agent) -> None:
    with closing(DogStatsD(agent.address, no_loss)) as dogstatsd:
        with pytest.raises(ValueError, match=r"steps_total has the labels .* and was given 1 values"):
            dogstatsd.record(Measurement(STEPS, 1, ("left",)))
        dogstatsd.record(Measurement(HEIGHT, 2))
    assert {line.name for line in agent.lines()} == {"height_meters"}


def test_the_thread_flushes_by_itself(agent: Agent) -> None:
    with closing(DogStatsD(agent.address, no_loss, flush_seconds=0.01)) as dogstatsd:
        dogstatsd.record(Measurement(HEIGHT, 2))
        while not (packets := agent.packets()):
            pass
        assert set(packets) == {"height_meters:2|g\n"}
