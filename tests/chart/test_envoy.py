"""The load balancer: Envoy, a GRPCRoute or none."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from undertone_bench.chart import Chart, Manifest
from undertone_sidecar.grpc_options import MAX_STREAMS_PER_CONNECTION

from tests.chart.support.combinations import COMBINATIONS
from tests.chart.support.paths import CHART
from tests.chart.support.pods import pod_spec

DESCRIPTOR = CHART / "files/envoy/classifier.binpb"
SCHEMA: Mapping[str, Any] = json.loads((CHART / "values.schema.json").read_text())


def envoy(**values: Any) -> Mapping[str, Any]:
    return {"loadBalancer": {"envoy": values}}


def traced(endpoint: str, sample: float) -> Mapping[str, Any]:
    return {"telemetry": {"otlp": {"endpoint": endpoint, "sample": sample}}, "networkPolicy": {"telemetry": [{}]}}


def configuration(chart: Chart, **values: Any) -> Any:
    return yaml.safe_load(chart.render(envoy(**values)).one("ConfigMap", "-envoy")["data"]["envoy.yaml"])


def cluster(chart: Chart, **values: Any) -> Any:
    return configuration(chart, **values)["static_resources"]["clusters"][0]


def container(chart: Chart, **values: Any) -> Manifest:
    (found,) = pod_spec(chart.render(envoy(**values)).one("Deployment", "-envoy"))["containers"]
    return dict(found)


@pytest.mark.parametrize(
    "values",
    [
        envoy(),
        envoy(address="::", rateLimit={"callsPerSecond": 100}),
        envoy(retries={"conditions": []}, timeouts={"callSeconds": 0.5}, maxRequestBytes=16777216, maxConnections=500),
        traced("http://collector.monitoring:4317", 0.001),
        traced("https://[2001:db8::7]", 1),
        COMBINATIONS["canary"],
        COMBINATIONS["mirror"],
    ],
)
def test_envoy_accepts_its_configuration(chart: Chart, tmp_path: Path, values: Mapping[str, Any]) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "classifier.binpb").write_bytes(DESCRIPTOR.read_bytes())
    for name, text in chart.render(values).one("ConfigMap", "-envoy")["data"].items():
        (folder / name).write_text(text)
    program = [Path(sys.executable).with_name("envoy"), *container(chart)["args"], "--mode", "validate"]
    command = [str(part).replace("$(CPUS)", "1") for part in program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "eprecated" not in done.stderr


@pytest.mark.parametrize(
    ("endpoint", "address", "port", "encrypted"),
    [
        ("http://collector.monitoring:4317", "collector.monitoring", 4317, False),
        ("https://collector.example", "collector.example", 4317, True),
        ("https://[2001:db8::7]:443", "2001:db8::7", 443, True),
    ],
)
def test_traces_are_sent_to_the_collector(chart: Chart, endpoint: str, address: str, port: int, *, encrypted: bool) -> None:
    config = yaml.safe_load(chart.render(traced(endpoint, 0.05)).one("ConfigMap", "-envoy")["data"]["envoy.yaml"])
    (collector,) = (one for one in config["static_resources"]["clusters"] if one["name"] == "traces")
    (target,) = collector["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert target["endpoint"]["address"]["socket_address"] == {"address": address, "port_value": port}
    assert ("transport_socket" in collector) is encrypted
    (listener,) = (one for one in config["static_resources"]["listeners"] if one["name"] == "api")
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    assert manager["tracing"]["random_sampling"] == {"value": 5}


@pytest.mark.parametrize("values", [{}, traced("http://collector:4317", 0), traced("", 1)])
def test_tracing_requires_an_endpoint_and_a_sampling_ratio(chart: Chart, values: Mapping[str, Any]) -> None:
    config = chart.render(values).one("ConfigMap", "-envoy")["data"]["envoy.yaml"]
    assert "opentelemetry" not in config
    assert "traces" not in config


@pytest.mark.parametrize("files", [(), ("values-kind.yaml",)])
def test_ephemeral_storage_has_room_for_the_access_log(chart: Chart, files: tuple[str, ...]) -> None:
    """The log counts as ephemeral storage. Kubelets rotate it at about 50 MiB or later."""
    pod = pod_spec(chart.render(files=files).one("Deployment", "-envoy"))
    assert pod["containers"][0]["resources"]["limits"]["ephemeral-storage"] == "1Gi"


def test_endpoints_are_the_headless_service(chart: Chart) -> None:
    manifests = chart.render()
    service = manifests.one("Service", "-inference")
    (endpoint,) = cluster(chart)["load_assignment"]["endpoints"][0]["lb_endpoints"]
    address = endpoint["endpoint"]["address"]["socket_address"]
    name, namespace, rest = address["address"].split(".", 2)
    assert (name, namespace, rest) == (service["metadata"]["name"], "reading", "svc.cluster.local.")
    assert address["port_value"] in {port["port"] for port in service["spec"]["ports"]}
    assert service["spec"]["clusterIP"] == "None"
    # Envoy knows pods before they are ready, and checks their health.
    assert service["spec"]["publishNotReadyAddresses"] is True


def test_admin_interface_listens_on_loopback(chart: Chart) -> None:
    address = configuration(chart, address="::")["admin"]["address"]["socket_address"]
    assert address == {"address": "127.0.0.1", "port_value": 9901}
    assert 9901 not in {port["containerPort"] for port in container(chart)["ports"]}


def test_drain_hook_ends_within_the_grace_period(chart: Chart) -> None:
    manifests = chart.render(envoy(drain={"leaveSeconds": 7, "finishSeconds": 80}, ports={"admin": 9999}))
    spec = pod_spec(manifests.one("Deployment", "-envoy"))
    assert spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"] == ["bash", "config/drain.sh", "9999", "7", "80"]
    assert spec["terminationGracePeriodSeconds"] > 87


def test_an_envoy_is_ready_only_after_it_had_a_healthy_sidecar(chart: Chart) -> None:
    probes = container(chart)
    assert probes["startupProbe"]["httpGet"] == {"path": "/healthy", "port": "metrics"}
    assert probes["readinessProbe"]["httpGet"] == {"path": "/ready", "port": "metrics"}
    assert probes["livenessProbe"]["httpGet"] == {"path": "/live", "port": "metrics"}
    # A model that loads for as long as the values permit must not restart Envoy.
    longest = SCHEMA["properties"]["inference"]["properties"]["startupSeconds"]["maximum"]
    assert probes["startupProbe"]["periodSeconds"] * probes["startupProbe"]["failureThreshold"] >= longest


def test_a_rollout_of_envoy_waits_for_models_and_load_balancers(chart: Chart) -> None:
    manifests = chart.render({**envoy(drain={"leaveSeconds": 30}), "inference": {"startupSeconds": 1000}})
    spec = manifests.one("Deployment", "-envoy")["spec"]
    assert spec["minReadySeconds"] == 30
    assert (
        spec["progressDeadlineSeconds"] == manifests.one("Deployment", "-inference")["spec"]["progressDeadlineSeconds"] > 2000
    )


def test_key_of_the_authority_is_not_mounted(chart: Chart) -> None:
    tls = envoy(tls={"secretName": "server", "clientCASecretName": "clients"})
    manifests = chart.render({**tls, "test": {"enabled": False}})
    volumes = pod_spec(manifests.one("Deployment", "-envoy"))["volumes"]
    secrets = {volume["name"]: volume["secret"] for volume in volumes if "secret" in volume}
    assert secrets["tls"] == {"secretName": "server"}
    assert secrets["client-ca"] == {"secretName": "clients", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    assert manifests.one("Service", "-envoy")["spec"]["ports"][0]["appProtocol"] == "https"


def test_gateway_api_creates_a_route_and_no_envoy(chart: Chart) -> None:
    parent = {"name": "public", "namespace": "gateways"}
    values = {
        "loadBalancer": {"type": "gatewayAPI", "gatewayAPI": {"parentRefs": [parent], "hostnames": ["undertone.example"]}}
    }
    manifests = chart.render(values)
    route = manifests.one("GRPCRoute")["spec"]
    assert (route["parentRefs"], route["hostnames"]) == ([parent], ["undertone.example"])
    services = {match["method"]["service"] for match in route["rules"][0]["matches"]}
    assert {"undertone.v1.Classifier", "inference.GRPCInferenceService"} <= services
    assert route["rules"][0]["backendRefs"][0]["name"] == manifests.one("Service", "-inference")["metadata"]["name"]
    assert not [manifest for manifest in manifests if manifest["metadata"]["name"].endswith("-envoy")]


def test_type_none_creates_no_load_balancer(chart: Chart) -> None:
    manifests = chart.render({"loadBalancer": {"type": "none"}})
    assert not manifests.of("GRPCRoute")
    # These callers do not check the health of the pods.
    assert "publishNotReadyAddresses" not in manifests.one("Service", "-inference")["spec"]
    assert not [manifest for manifest in manifests if manifest["metadata"]["name"].endswith("-envoy")]


def test_notes_show_how_to_send_credentials_and_warn_without_tls(chart: Chart) -> None:
    notes = chart.notes(COMBINATIONS["API keys"])
    assert notes.count('-H "x-api-key: $CREDENTIAL"') == 2
    assert "WARNING: callers send their credentials without encryption" in notes
    assert '-H "authorization: Bearer $CREDENTIAL"' in chart.notes(COMBINATIONS["JSON Web Tokens"])
    assert "CREDENTIAL" not in chart.notes()


@pytest.mark.parametrize(("combination", "variable"), [("API keys", "API_KEY"), ("JSON Web Tokens", "TOKEN")])
def test_the_test_pod_sends_credentials(chart: Chart, combination: str, variable: str) -> None:
    pod = chart.render(COMBINATIONS[combination]).one("Pod", "-test")["spec"]
    (container,) = pod["containers"]
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    assert environment[f"UNDERTONE_{variable}_FILE"] == "/etc/undertone/credentials/credential"
    (volume,) = [volume["secret"] for volume in pod["volumes"] if volume["name"] == "credentials"]
    assert volume["items"][0]["path"] == "credential"


def test_api_keys_are_in_no_config_map_and_in_memory_only(chart: Chart) -> None:
    manifests = chart.render(COMBINATIONS["API keys"])
    config = yaml.safe_load(manifests.one("ConfigMap", "-envoy")["data"]["envoy.yaml"])
    (chain,) = config["static_resources"]["listeners"][0]["filter_chains"]
    filters = {each["name"]: each for each in chain["filters"][0]["typed_config"]["http_filters"]}
    source = filters["undertone.authentication"]["config_discovery"]["config_source"]
    assert source["path_config_source"] == {"path": "run/api-keys.json"}
    volumes = {volume["name"]: volume for volume in pod_spec(manifests.one("Deployment", "-envoy"))["volumes"]}
    assert volumes["api-keys"]["secret"]["secretName"] == "api-keys"
    assert volumes["run"]["emptyDir"]["medium"] == "Memory"


def test_envoy_opens_no_more_streams_than_a_sidecar_allows(chart: Chart) -> None:
    """A sidecar refuses further streams, which Envoy would open on a new connection."""
    options = cluster(chart)["typed_extension_protocol_options"]["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]
    http2 = options["explicit_http_config"]["http2_protocol_options"]
    assert http2["max_concurrent_streams"] == MAX_STREAMS_PER_CONNECTION
