"""The bounds of Envoy's memory add up to less than the limit of its container."""

from collections.abc import Mapping
from typing import Any, Final

import pytest
import yaml
from undertone_bench.chart import Chart, HelmError, Manifests

from tests.chart.support.pods import pod_spec

MIB = 1024 * 1024

PROGRAM = 64 * MIB
"""Resident memory outside of the heap: the program's pages (53 MiB measured), threads and Lua."""

BETWEEN_MEASUREMENTS = 96 * MIB
"""What two worker threads read in one interval of the overload manager (40 MiB each measured)."""

CONNECTION = 64 * 1024
"""An idle connection with HTTP/2 (34 KiB measured) and TLS."""

CALLER = 2 * 1024
"""A token bucket in the table of callers, with its name (2 KiB measured)."""

API_KEYS = 12 * MIB
"""The script that updates the API keys (bash and sleep: 6 MiB), and its volume (4 MiB)."""

UNITS = {"Mi": MIB, "Gi": 1024 * MIB}


KEYS: Final[dict[str, Any]] = {"authentication": {"type": "apiKey", "apiKey": {"secretName": "api-keys"}}}


def envoy(memory: str = "512Mi", **values: Any) -> Mapping[str, Any]:
    requests, limits = {"memory": "64Mi"}, {"memory": memory}
    # Without the pod of `helm test`, which would need credentials.
    return {
        "loadBalancer": {"envoy": {"resources": {"requests": requests, "limits": limits}, **values}},
        "test": {"enabled": False},
    }


def bounds(manifests: Manifests) -> tuple[int, Any, Any]:
    """The memory limit in bytes, the overload manager, and the HTTP connection manager."""
    (container,) = pod_spec(manifests.one("Deployment", "-envoy"))["containers"]
    memory = container["resources"]["limits"]["memory"]
    config = yaml.safe_load(manifests.one("ConfigMap", "-envoy")["data"]["envoy.yaml"])
    (listener,) = (one for one in config["static_resources"]["listeners"] if one["name"] == "api")
    return (
        int(memory[:-2]) * UNITS[memory[-2:]],
        config["overload_manager"],
        listener["filter_chains"][0]["filters"][0]["typed_config"],
    )


@pytest.mark.parametrize(
    ("values", "files"),
    [
        ({}, ()),
        ({}, ("values-kind.yaml",)),
        (envoy("2Gi", maxConnections=10000), ()),
        (envoy("1Gi", maxRequestBytes=33554432, maxConnections=1000), ()),
        (envoy("256Mi", maxConnections=384, maxConcurrentStreams=16), ()),
        (envoy(maxConnections=1500, **KEYS), ()),
        (envoy(rateLimit={"perCaller": {"callsPerSecond": 1, "mostCallers": 20000}}), ()),
    ],
)
def test_all_bounds_add_up_to_less_than_the_limit(chart: Chart, values: Mapping[str, Any], files: tuple[str, ...]) -> None:
    limit, overload, manager = bounds(chart.render(values, files=files))
    monitors = {monitor["name"].rpartition(".")[2]: monitor["typed_config"] for monitor in overload["resource_monitors"]}
    heap = monitors["fixed_heap"]["max_heap_size_bytes"]
    connections = monitors["global_downstream_max_connections"]["max_active_downstream_connections"] * CONNECTION
    filters = {one["name"]: one.get("typed_config", {}) for one in manager["http_filters"]}
    script = API_KEYS if "undertone.authentication" in filters else 0
    assert PROGRAM + heap + BETWEEN_MEASUREMENTS + script <= limit
    # Connections without calls leave half of the heap, and eight of the largest requests.
    requests = 8 * filters["envoy.filters.http.buffer"]["max_request_bytes"]
    callers = filters.get("undertone.rate_limit_per_caller", {}).get("max_dynamic_descriptors", 0) * CALLER
    assert connections <= heap / 2
    assert connections + callers + requests <= heap
    # Envoy refuses data before the heap is full, and ends greedy streams before it refuses calls.
    points = {
        point["name"].rpartition(".")[2]: point["triggers"][0] for point in (*overload["actions"], *overload["loadshed_points"])
    }
    assert {trigger["name"] for trigger in points.values()} == {"envoy.resource_monitors.fixed_heap"}
    reset = points["reset_high_memory_stream"]["scaled"]
    # Requests that are not complete time out before calls are affected.
    assert points["reduce_timeouts"]["scaled"]["saturation_threshold"] <= reset["scaling_threshold"]
    assert reset["scaling_threshold"] < reset["saturation_threshold"] < points["stop_accepting_requests"]["threshold"]["value"]
    for name in ("tcp_listener_accept", "http1_server_abort_dispatch", "http2_server_go_away_and_close_on_dispatch"):
        assert points[name]["threshold"]["value"] < 1
    assert overload["refresh_interval"] == "0.05s"
    # A stream below the smallest counted size cannot use much memory without many connections.
    smallest = 2 ** overload["buffer_factory_config"]["minimum_account_to_track_power_of_two"]
    assert manager["http2_protocol_options"]["max_concurrent_streams"] * smallest <= heap / 2


@pytest.mark.parametrize(
    "values",
    [
        envoy("256Mi"),
        envoy(maxConnections=10000),
        envoy(maxRequestBytes=50_000_000),
        envoy("128Mi", maxConnections=1),
        envoy(maxConnections=2300, rateLimit={"perCaller": {"callsPerSecond": 1, "mostCallers": 20000}}),
        envoy("400Mi", maxConnections=1500, **KEYS),
    ],
)
def test_a_limit_that_is_too_low_is_refused(chart: Chart, values: Mapping[str, Any]) -> None:
    with pytest.raises(HelmError, match=r"loadBalancer\.envoy\.resources\.limits\.memory is .*: raise it to \d+Mi"):
        chart.render(values)
