"""The DogStatsD adapter with agents on real sockets.

Tests call `flush`; they do not wait for the thread.
"""

import logging
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from undertone_telemetry import Kind, Level, Measurement, Metric, Notification
from undertone_telemetry.dogstatsd import DogStatsDAdapter
from undertone_telemetry.testing import FakeAgent, StatsDMetric, sum_counters, udp_agent, unix_agent

STEPS = Metric("steps_total", Kind.COUNTER, "Steps.", ("foot", "shoe"))
HEIGHT = Metric("height_meters", Kind.GAUGE, "Height above sea level.")
STRIDE = Metric("stride_meters", Kind.HISTOGRAM, "Length of a step.", ("foot",), (0.5, 1.0))
SHOE = Metric("shoe_info", Kind.INFO, "The shoes.", ("size",))


@pytest.fixture(params=["udp", "unix"])
def agent(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FakeAgent]:
    with udp_agent() if request.param == "udp" else unix_agent(tmp_path) as agent:
        yield agent


def no_loss(packets: int) -> None:
    raise AssertionError(f"{packets} packets were lost")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DD_ENV", "DD_SERVICE", "DD_VERSION", "DD_ENTITY_ID", "DATADOG_TAGS"):
        monkeypatch.delenv(name, raising=False)
    # Otherwise the client adds the id of the container, if the tests run in one.
    monkeypatch.setenv("DD_ORIGIN_DETECTION_ENABLED", "false")


def test_a_flush_sends_all_metrics_in_one_packet(agent: FakeAgent) -> None:
    with closing(DogStatsDAdapter(agent.address, no_loss, flush_seconds=3600)) as adapter:
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
            adapter.record(measurement)
        assert agent.packets() == [], "recording sends nothing"
    (packet,) = agent.packets()
    assert set(packet.splitlines()) == {
        "steps:3|c|#foot:left,shoe:on",
        "steps:1|c|#foot:right,shoe:off",
        "height_meters:2.5|g",
        "stride_meters:0.75|d|#foot:left",
        "stride_meters:0.5|d|#foot:left",
        "shoe_info:1|g|#size:43",
    }


def test_the_environment_sets_tags_of_everything(agent: FakeAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("DD_ENV", "reading"), ("DD_SERVICE", "undertone"), ("DD_VERSION", "1.2")):
        monkeypatch.setenv(name, value)
    with closing(DogStatsDAdapter(agent.address, no_loss)) as adapter:
        adapter.record(Measurement(HEIGHT, 2))
    (metric,) = agent.metrics()
    assert metric == StatsDMetric("height_meters", 2, "g", 1, ("env:reading", "service:undertone", "version:1.2"))


def test_many_observations_are_sampled_and_counters_are_exact(agent: FakeAgent) -> None:
    count = 1024
    with closing(DogStatsDAdapter(agent.address, no_loss, flush_seconds=3600)) as adapter:
        for number in range(count):
            adapter.record(Measurement(STRIDE, number / count, ("left",)))
            adapter.record(Measurement(STEPS, 1, ("left", "on")))
    metrics = agent.metrics()
    strides = [metric for metric in metrics if metric.name == "stride_meters"]
    assert {stride.rate for stride in strides} == {0.0625}
    assert len({stride.value for stride in strides}) == len(strides), "each observation is sent at most once"
    # The expected number is 64. The probability of a number outside this range is about 1e-9.
    assert 16 <= len(strides) <= 112
    assert sum_counters(metrics) == {("steps", ("foot:left", "shoe:on")): count}


def test_notifications_become_events(agent: FakeAgent) -> None:
    with closing(DogStatsDAdapter(agent.address, no_loss)) as adapter:
        adapter.notify(Notification("job failed", "no room\nleft", Level.ERROR, (("job", "daily"),)))
    assert agent.packets() == ["_e{10,13}:job failed|no room\\nleft|t:error|#job:daily\n"]


def test_every_flush_sends_gauges_again(agent: FakeAgent) -> None:
    with closing(DogStatsDAdapter(agent.address, no_loss, flush_seconds=3600)) as adapter:
        adapter.record(Measurement(STEPS, 1, ("left", "on")))
        for size in ("42", "43"):
            adapter.record(Measurement(SHOE, 1, (size,)))
            adapter.flush()
        adapter.flush()
    series = [(metric.name, metric.tags) for metric in agent.metrics()]
    assert series.count(("shoe_info", ("size:42",))) == 1, "replaced labels are not sent again"
    assert series.count(("shoe_info", ("size:43",))) == 3
    assert series.count(("steps", ("foot:left", "shoe:on"))) == 1


@pytest.mark.parametrize("address", ["127.0.0.1:{port}", "unix://{folder}/absent.sock"])
def test_an_absent_agent_blocks_nothing_and_is_logged_once(
    address: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    losses: list[int] = []
    caplog.set_level(logging.INFO)
    adapter = DogStatsDAdapter(address.format(port=port, folder=tmp_path), losses.append, close_timeout_seconds=0.1)
    for number in range(5):
        adapter.record(Measurement(HEIGHT, number))
        adapter.flush()
    adapter.close()
    assert sum(losses) > 0
    messages = [record.msg for record in caplog.records]
    assert len(messages) == len(set(messages)) <= 2


def test_an_agent_that_starts_late_receives_everything(tmp_path: Path) -> None:
    adapter = DogStatsDAdapter(f"unix://{tmp_path}/dsd.sock", no_loss)
    adapter.record(Measurement(STEPS, 1, ("left", "on")))
    adapter.flush()
    with unix_agent(tmp_path) as agent:
        adapter.record(Measurement(STEPS, 2, ("left", "on")))
        adapter.close()
        assert sum(metric.value for metric in agent.metrics() if metric.name == "steps") == 3


def test_an_agent_that_does_not_read_costs_packets_but_no_time(tmp_path: Path) -> None:
    losses: list[int] = []
    with unix_agent(tmp_path, reading=False) as agent, closing(DogStatsDAdapter(agent.address, losses.append)) as adapter:
        # More packets than the socket's buffer and the queue hold: a blocking `record` or `flush`
        # would hang.
        for number in range(2000):
            adapter.record(Measurement(HEIGHT, number))
            adapter.flush()
        assert sum(losses) > 0
        received: list[StatsDMetric] = []
        while not any(metric.value == 1999 for metric in received):
            received += agent.metrics()


def test_labels_that_do_not_match_the_metric_are_rejected(agent: FakeAgent) -> None:
    with closing(DogStatsDAdapter(agent.address, no_loss)) as adapter:
        with pytest.raises(ValueError, match=r"steps_total has the labels .* but the measurement has 1 values"):
            adapter.record(Measurement(STEPS, 1, ("left",)))
        adapter.record(Measurement(HEIGHT, 2))
    assert {metric.name for metric in agent.metrics()} == {"height_meters"}


def test_the_thread_flushes_periodically(agent: FakeAgent) -> None:
    with closing(DogStatsDAdapter(agent.address, no_loss, flush_seconds=0.01)) as adapter:
        adapter.record(Measurement(HEIGHT, 2))
        while not (packets := agent.packets()):
            pass
        assert set(packets) == {"height_meters:2|g\n"}
