import logging
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import urlopen

import pytest
from prometheus_client import generate_latest, pushadd_to_gateway
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from undertone_telemetry import Kind, Measurement, Metric
from undertone_telemetry.prometheus import MetricsServer, PrometheusAdapter, PushgatewayPusher
from undertone_telemetry.testing import pushgateway

STEPS = Metric("steps_total", Kind.COUNTER, "Steps.", ("foot",))
HEIGHT = Metric("height_meters", Kind.GAUGE, "Height above sea level.")
STRIDE = Metric("stride_meters", Kind.HISTOGRAM, "Length of a step.", buckets=(0.5, 1.0))
SHOE = Metric("shoe_info", Kind.INFO, "The shoes.", ("maker", "size"))


@contextmanager
def scraped(adapter: PrometheusAdapter) -> Iterator[str]:
    server = MetricsServer(adapter, "localhost", 0)
    try:
        with urlopen(f"http://localhost:{server.port}/metrics") as response:
            yield response.read().decode()
    finally:
        server.close()


def test_the_endpoint_shows_the_recorded_metrics() -> None:
    adapter = PrometheusAdapter((STEPS, HEIGHT, STRIDE, SHOE))
    for measurement in (
        Measurement(STEPS, 1, ("left",)),
        Measurement(STEPS, 2, ("left",)),
        Measurement(STEPS, 1, ("right",)),
        Measurement(HEIGHT, 3),
        Measurement(HEIGHT, 2),
        Measurement(STRIDE, 0.4),
        Measurement(STRIDE, 0.9),
        Measurement(SHOE, 1, ("Lasts", "42")),
    ):
        adapter.record(measurement)
    with scraped(adapter) as page:
        families = {family.name: family for family in text_string_to_metric_families(page)}
    values = {sample.name + str(sample.labels): sample.value for family in families.values() for sample in family.samples}
    assert values["steps_total{'foot': 'left'}"] == 3
    assert values["steps_total{'foot': 'right'}"] == 1
    assert values["height_meters{}"] == 2
    assert values["stride_meters_bucket{'le': '0.5'}"] == 1
    assert values["stride_meters_sum{}"] == pytest.approx(1.3)
    assert values["shoe_info{'maker': 'Lasts', 'size': '42'}"] == 1
    assert (families["steps"].type, families["stride_meters"].documentation) == ("counter", "Length of a step.")
    assert "process_cpu_seconds" in families


def test_an_info_has_one_series_at_a_time() -> None:
    adapter = PrometheusAdapter((SHOE,))
    for size in ("42", "42", "43", "42"):
        adapter.record(Measurement(SHOE, 1, ("Lasts", size)))
        page = generate_latest(adapter.registry).decode()
        series = [line for line in page.splitlines() if line.startswith("shoe_info")]
        assert series == [f'shoe_info{{maker="Lasts",size="{size}"}} 1.0']


def test_metrics_outside_the_catalogue_are_rejected() -> None:
    with pytest.raises(KeyError, match="height_meters"):
        PrometheusAdapter((STEPS,)).record(Measurement(HEIGHT, 1))
    with pytest.raises(ValueError, match="label"):
        PrometheusAdapter((STEPS,)).record(Measurement(STEPS, 1, ("left", "bare")))


def test_only_the_first_rejected_push_is_logged_and_without_the_password(caplog: pytest.LogCaptureFixture) -> None:
    def push_without_password(
        gateway: str, job: str, registry: Collector, *, grouping_key: dict[str, str], timeout: float
    ) -> None:
        pushadd_to_gateway(gateway.replace("name:secret@", ""), job, registry, grouping_key, timeout)

    failures: list[None] = []
    with pushgateway(status=503) as gateway:
        url = gateway.url.replace("//", "//name:secret@")
        adapter = PrometheusAdapter((HEIGHT,))
        pusher = PushgatewayPusher(url, "daily", adapter, (HEIGHT,), lambda: failures.append(None), push=push_without_password)
        for _ in range(3):
            pusher()
    assert len(failures) == 3
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert f"the Pushgateway at 127.0.0.1:{gateway.port} rejects metrics" in record.getMessage()
    assert "secret" not in record.getMessage()
