from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import urlopen

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from undertone_telemetry.metric import Kind, Measurement, Metric
from undertone_telemetry.prometheus import MetricsServer, Prometheus

STEPS = Metric("steps_total", Kind.COUNTER, "Steps taken.", ("foot",))
HEIGHT = Metric("height_meters", Kind.GAUGE, "Above the sea.")
STRIDE = Metric("stride_meters", Kind.HISTOGRAM, "Length of a step.", buckets=(0.5, 1.0))
SHOE = Metric("shoe_info", Kind.INFO, "What is worn.", ("maker", "size"))


@contextmanager
def served(prometheus: Prometheus) -> Iterator[str]:
    server = MetricsServer(prometheus, "localhost", 0)
    try:
        with urlopen(f"http://localhost:{server.port}/metrics") as response:
            yield response.read().decode()
    finally:
        server.close()


def test_the_page_says_what_was_recorded() -> None:
    prometheus = Prometheus((STEPS, HEIGHT, STRIDE, SHOE))
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
        prometheus.record(measurement)
    with served(prometheus) as page:
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


def test_an_info_says_one_thing_at_a_time() -> None:
    prometheus = Prometheus((SHOE,))
    for size in ("42", "42", "43", "42"):
        prometheus.record(Measurement(SHOE, 1, ("Lasts", size)))
        page = generate_latest(prometheus.registry).decode()
        said = [line for line in page.splitlines() if line.startswith("shoe_info")]
        assert said == [f'shoe_info{{maker="Lasts",size="{size}"}} 1.0']


def test_what_is_not_in_the_catalogue_is_refused() -> None:
    with pytest.raises(KeyError, match="height_meters"):
        Prometheus((STEPS,)).record(Measurement(HEIGHT, 1))
    with pytest.raises(ValueError, match="label"):
        Prometheus((STEPS,)).record(Measurement(STEPS, 1, ("left", "bare")))
