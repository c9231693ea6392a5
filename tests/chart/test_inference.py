"""The inference pods: order of start and stop, listeners, threads, probes and resources."""

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from undertone_bench.chart import Chart, Manifest
from undertone_dev_server import settings as dev_server
from undertone_sidecar.cpu import plan_threads, read_machine
from undertone_sidecar.testing import read_settings

from tests.chart.support.combinations import COMBINATIONS
from tests.chart.support.paths import CHART, ROOT
from tests.chart.support.pods import containers, find_container, inference_pod, pod_spec

SOCKET = "/run/undertone/model.sock"
DEV_SERVER = COMBINATIONS["development server"]


def sidecar(chart: Chart, values: Mapping[str, Any] | None = None) -> Manifest:
    return find_container(inference_pod(chart, values), "sidecar")


def model_server(chart: Chart, values: Mapping[str, Any] | None = None) -> Manifest:
    return find_container(inference_pod(chart, values), "model-server")


def flags(container: Manifest) -> dict[str, str]:
    """The flags in the command and the arguments, with $(VARIABLES) expanded as Kubernetes does."""
    arguments = [argument for argument in (*container.get("command", ()), *container["args"]) if argument.startswith("--")]
    variables = {variable["name"]: str(variable.get("value")) for variable in container.get("env", ())}
    expanded = [re.sub(r"\$\((\w+)\)", lambda match: variables[match[1]], argument) for argument in arguments]
    return dict(argument.removeprefix("--").split("=", 1) for argument in expanded)


def test_model_server_starts_before_the_sidecar_and_stops_after_it(chart: Chart) -> None:
    """Kubernetes stops native sidecars after the ordinary containers, in reverse order of start."""
    server = model_server(chart)
    assert server["name"] == "model-server"
    assert server["restartPolicy"] == "Always"
    # Without a startup probe, the sidecar would not wait until the model is loaded.
    assert server["startupProbe"]["grpc"] == {"port": 8500}
    assert [container["name"] for container in inference_pod(chart)["containers"]] == ["sidecar"]


def test_tf_serving_is_a_child_of_the_script(chart: Chart) -> None:
    server = model_server(chart)
    assert server["image"] == "docker.io/tensorflow/serving:2.19.1"
    assert server["command"][:3] == ["/bin/bash", "/etc/undertone/serve.sh", "tensorflow_model_server"]
    script = chart.render().one("ConfigMap", "-inference")["data"]["serve.sh"]
    assert script.strip() == (CHART / "files/serve.sh").read_text().strip()


def test_tf_serving_reads_its_configuration_files(chart: Chart) -> None:
    config = chart.render().one("ConfigMap", "-inference")["data"]
    server = model_server(chart)
    (mount,) = [mount for mount in server["volumeMounts"] if mount["name"] == "config"]
    for flag in ("model_config_file", "monitoring_config_file"):
        folder, _, name = flags(server)[flag].rpartition("/")
        assert (folder, name in config) == (mount["mountPath"], True)
    assert {"containerPort": int(flags(server)["rest_api_port"]), "name": "model-metrics"} in server["ports"]


def test_development_server_is_started_as_tf_serving_is(chart: Chart) -> None:
    server = model_server(chart, DEV_SERVER)
    assert server["image"] == f"ghcr.io/undertone/dev-server:{(ROOT / 'VERSION').read_text().strip()}"
    assert server["command"][:3] == ["/bin/bash", "/etc/undertone/serve.sh", "undertone-dev-server"]


def test_development_server_accepts_its_flags(chart: Chart, tmp_path: Path) -> None:
    given = flags(model_server(chart, DEV_SERVER))
    data = chart.render(DEV_SERVER).one("ConfigMap", "-inference")["data"]
    for flag, name in (("model_config_file", "models.config"), ("monitoring_config_file", "monitoring.config")):
        assert given[flag] == f"/etc/undertone/{name}"
        given[flag] = str(tmp_path / name)
        (tmp_path / name).write_text(data[name])
    given["grpc_socket_path"] = str(tmp_path / "s")
    settings = dev_server.parse([f"--{flag}={value}" for flag, value in given.items()])
    assert (settings.model_name, str(settings.model_base_path)) == ("emotions", "/models/emotions")
    assert (settings.host, settings.port) == ("0.0.0.0", 8500)  # noqa: S104 - the kubelet connects from outside the pod
    assert (settings.rest_api_port, settings.monitoring_path) == (8501, "/monitoring/prometheus/metrics")


def test_containers_share_a_socket(chart: Chart) -> None:
    for values in ({}, DEV_SERVER):
        assert flags(model_server(chart, values))["grpc_socket_path"] == SOCKET
        assert flags(sidecar(chart, values))["model-server"] == f"unix://{SOCKET}"
        for container in (sidecar(chart, values), model_server(chart, values)):
            assert {"name": "socket", "mountPath": "/run/undertone"} in container["volumeMounts"]


@pytest.mark.parametrize(
    ("limit", "settings"),
    [
        ("500m", {}),
        ("1500m", {}),
        ("2", {}),
        (4, {}),
        ("3.5", {"model-calls": 1}),
        ("16", {"model-calls": "2"}),
    ],
)
@pytest.mark.parametrize("threads_per_core", [1, 2])
def test_model_server_has_the_thread_counts_of_the_sidecars_plan(
    chart: Chart, limit: object, settings: Mapping[str, object], threads_per_core: int
) -> None:
    values = {
        "modelServer": {
            "resources": {"requests": {"cpu": limit}, "limits": {"cpu": limit}},
            "threadsPerCore": threads_per_core,
        },
        "sidecar": {"settings": settings},
    }
    given = [f"--{name}={value}" for name, value in flags(sidecar(chart, values)).items()]
    relevant = [flag for flag in given if flag.startswith(("--model-server-cpus=", "--threads-per-core=", "--model-calls="))]
    planned = plan_threads(read_machine(), read_settings(*relevant, f"--model-dir={CHART}"))
    server = flags(model_server(chart, values))
    assert int(server["tensorflow_intra_op_parallelism"]) == planned.intra_op
    assert int(server["tensorflow_inter_op_parallelism"]) == planned.inter_op
    assert int(server["grpc_max_threads"]) == planned.grpc_max_threads > planned.model_calls + 4


@pytest.mark.parametrize(("limit", "cpus"), [("2", 2.0), (4, 4.0), ("1500m", 1.5)])
def test_sidecar_receives_the_cpu_limit_of_the_model_server(chart: Chart, limit: object, cpus: float) -> None:
    """The sidecar sees only the limit of its own container, from which it plans its own threads."""
    given = sidecar(chart, {"modelServer": {"resources": {"requests": {"cpu": limit}, "limits": {"cpu": limit}}}})
    relevant = ["--model-server-cpus=" + flags(given)["model-server-cpus"], f"--model-dir={CHART}"]
    assert read_settings(*relevant).model_server_cpus == cpus
    assert "env" not in given
    assert "tokenizer-threads" not in flags(given)


@pytest.mark.parametrize(
    ("limit", "settings", "memory"),
    [("3584Mi", {}, 3584 * 2**20), (4294967296, {}, 2**32), ("4Gi", {"model-server-memory": 0}, 0)],
)
def test_sidecar_receives_the_memory_limit_of_the_model_server(
    chart: Chart, limit: object, settings: Mapping[str, object], memory: int
) -> None:
    resources = {"requests": {"memory": "1Gi"}, "limits": {"memory": limit}}
    args = sidecar(chart, {"modelServer": {"resources": resources}, "sidecar": {"settings": settings}})["args"]
    given = [arg for arg in args if arg.startswith("--model-server-memory=")]
    assert read_settings(*given, f"--model-dir={CHART}").model_server_memory == memory


def test_pod_requests_the_resources_of_the_papers_pods_with_memory_as_the_limit(chart: Chart) -> None:
    requests = [container["resources"]["requests"] for container in (sidecar(chart), model_server(chart))]
    assert sum(int(request["cpu"].removesuffix("m")) for request in requests) == 2000
    assert sum(int(request["memory"].removesuffix("Mi")) for request in requests) == 4096
    assert model_server(chart)["resources"]["limits"]["cpu"] == "2"
    for container in (sidecar(chart), model_server(chart)):
        assert container["resources"]["requests"]["memory"] == container["resources"]["limits"]["memory"]


def test_probes_call_the_health_service(chart: Chart) -> None:
    for container, port in ((sidecar(chart), 50051), (model_server(chart), 8500)):
        for probe in ("startupProbe", "readinessProbe"):
            assert container[probe]["grpc"] == {"port": port}
    assert sidecar(chart)["livenessProbe"]["grpc"] == {"port": 50051, "service": "liveness"}
    assert model_server(chart)["livenessProbe"]["grpc"] == {"port": 8500}
    assert flags(model_server(chart))["enable_grpc_healthcheck_service"] == "true"
    assert flags(sidecar(chart))["host"] == "0.0.0.0"  # noqa: S104 - the kubelet connects from outside the pod


def test_startup_probes_allow_the_configured_time(chart: Chart) -> None:
    values = {"inference": {"startupSeconds": 90}}
    for container in (sidecar(chart, values), model_server(chart, values)):
        assert container["startupProbe"]["periodSeconds"] * container["startupProbe"]["failureThreshold"] == 90


def deployment(chart: Chart, values: Mapping[str, Any]) -> Manifest:
    return dict(chart.render(values).one("Deployment", "-inference")["spec"])


def test_grace_period_is_longer_than_the_drain(chart: Chart) -> None:
    values = {"inference": {"drain": {"servingSeconds": 50, "delaySeconds": 20, "periodSeconds": 100}}}
    given = flags(sidecar(chart, values))
    assert given["drain-serving-seconds"] == "50"
    assert given["drain-delay-seconds"] == "20"
    assert given["grace-period-seconds"] == "150"
    assert inference_pod(chart, values)["terminationGracePeriodSeconds"] == 165


@pytest.mark.parametrize(
    ("balancer", "seconds"),
    [
        # The cached answer, the DNS query, the health check, and the margin.
        ({}, 60 + 2 + 2 + 1 + 5),
        ({"dnsCacheSeconds": 0}, 0 + 2 + 2 + 1 + 5),
        ({"envoy": {"dnsRefreshSeconds": 5.5, "healthCheck": {"healthyThreshold": 3}}}, 60 + 6 + 6 + 1 + 5),
        ({"type": "none"}, 60 + 5),
        ({"type": "gatewayAPI", "gatewayAPI": {"parentRefs": [{"name": "public"}]}}, 5),
    ],
)
def test_pods_serve_until_load_balancers_know_their_successors(chart: Chart, balancer: Mapping[str, Any], seconds: int) -> None:
    values = {"loadBalancer": balancer, "inference": {"startupSeconds": 100}}
    spec = deployment(chart, values)
    assert flags(sidecar(chart, values))["drain-serving-seconds"] == str(seconds)
    assert spec["minReadySeconds"] == seconds
    assert spec["progressDeadlineSeconds"] == 500 + seconds
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] == seconds + 45 + 15


def test_pods_of_nodes_that_stop_at_short_notice_can_drain_faster_than_updates(chart: Chart) -> None:
    values = {"inference": {"drain": {"servingSeconds": 0, "periodSeconds": 15}}}
    spec = deployment(chart, values)
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] == 30
    assert spec["minReadySeconds"] == 70


def test_a_sidecar_that_hangs_is_restarted_without_a_drain(chart: Chart) -> None:
    assert sidecar(chart)["livenessProbe"]["terminationGracePeriodSeconds"] < 20


def test_rolling_update_keeps_full_capacity(chart: Chart) -> None:
    update = chart.render().one("Deployment", "-inference")["spec"]["strategy"]["rollingUpdate"]
    assert update == {"maxSurge": "25%", "maxUnavailable": 0}


def test_the_http_port_is_off_by_default(chart: Chart) -> None:
    assert "http-port" not in flags(sidecar(chart))
    assert {"name": "http", "containerPort": 8080} not in sidecar(chart)["ports"]


def test_the_http_port_of_the_container_is_that_of_the_sidecar(chart: Chart) -> None:
    enabled = sidecar(chart, {**COMBINATIONS["no load balancer"], "sidecar": {"http": {"enabled": True}}})
    assert flags(enabled)["http-port"] == "8080"
    assert {"name": "http", "containerPort": 8080} in enabled["ports"]
    assert enabled["readinessProbe"] == sidecar(chart)["readinessProbe"]


def test_a_sidecar_with_tls_has_its_files_and_probes_without_tls(chart: Chart, tmp_path: Path) -> None:
    values = {
        "loadBalancer": {"type": "none"},
        "sidecar": {"tls": {"secretName": "server", "clientCASecretName": "callers"}},
        "clients": {"tlsSecretName": "client", "mutualTls": True},
    }
    container = sidecar(chart, values)
    found = flags(container)
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    for flag in ("tls-cert", "tls-key", "tls-client-ca"):
        assert str(Path(found[flag]).parent) in mounts
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert found["health-port"] == str(ports["health"])
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["grpc"]["port"] == ports["health"]
    (tmp_path / "emotions").mkdir()
    settings = read_settings(*container["args"], f"--model-dir={tmp_path / 'emotions'}")
    assert settings.tls_files is not None
    assert not settings.trust_caller_metadata
    assert read_settings(*sidecar(chart)["args"], f"--model-dir={tmp_path / 'emotions'}").trust_caller_metadata


def test_settings_become_flags(chart: Chart) -> None:
    given = flags(sidecar(chart, {"sidecar": {"settings": {"max-batch-bytes": 33554432, "deadline-margin-seconds": 0.02}}}))
    assert given["max-batch-bytes"] == "33554432"
    assert given["deadline-margin-seconds"] == "0.02"
    assert given["log-format"] == "json"


@pytest.mark.parametrize("files", [(), ("values-kind.yaml",)])
def test_sidecar_accepts_its_flags(chart: Chart, files: tuple[str, ...], tmp_path: Path) -> None:
    (container,) = inference_pod(chart, files=files)["containers"]
    arguments = [re.sub(r"^--model-dir=.*", f"--model-dir={tmp_path}", argument) for argument in container["args"]]
    settings = read_settings(*arguments)
    assert settings.served_name == "emotions"
    assert settings.grace_period_seconds >= settings.drain_serving_seconds + settings.drain_delay_seconds


def test_pods_of_each_version_are_spread(chart: Chart) -> None:
    constraints = inference_pod(chart)["topologySpreadConstraints"]
    assert [constraint["topologyKey"] for constraint in constraints] == [
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    ]
    labels = chart.render().one("Deployment", "-inference")["spec"]["selector"]["matchLabels"]
    for constraint in constraints:
        assert constraint["labelSelector"] == {"matchLabels": labels}
        assert constraint["matchLabelKeys"] == ["pod-template-hash"]


def test_priority_class_and_pull_secrets(chart: Chart) -> None:
    minimal = inference_pod(chart, COMBINATIONS["minimal"])
    assert minimal["priorityClassName"] == "serving"
    assert minimal["imagePullSecrets"] == [{"name": "registry"}]
    assert minimal["serviceAccountName"] == "default"
    assert "priorityClassName" not in inference_pod(chart)


def test_model_server_has_the_recommended_environment(chart: Chart) -> None:
    """The chart has a copy of the file, because templates can read only files of the chart."""
    copy = (CHART / "files" / dev_server.ENVIRONMENT_FILE).read_bytes()
    assert copy == files("undertone_dev_server").joinpath(dev_server.ENVIRONMENT_FILE).read_bytes()
    recommended = dev_server.recommended_environment()
    assert recommended["TF_ONEDNN_ASSUME_FROZEN_WEIGHTS"] == "1"
    model = {"MODEL_NAME": "emotions", "MODEL_BASE_PATH": "/models/emotions"}
    for values in ({}, DEV_SERVER):
        environment = {variable["name"]: variable["value"] for variable in model_server(chart, values)["env"]}
        assert environment == {**model, **recommended}


def test_values_override_and_extend_the_environment(chart: Chart) -> None:
    env = [{"name": "TF_ONEDNN_ASSUME_FROZEN_WEIGHTS", "value": "0"}, {"name": "TF_CPP_MIN_LOG_LEVEL", "value": "1"}]
    given = model_server(chart, {"modelServer": {"env": env}})["env"]
    assert given[-2:] == env
    names = [variable["name"] for variable in given]
    assert len(names) == len(set(names))


def test_digests_take_precedence_over_tags(chart: Chart) -> None:
    """A published chart pins its images by their digests."""
    digest = f"sha256:{'0123456789abcdef' * 4}"
    values = {
        "model": {"image": {"digest": digest}},
        "sidecar": {"image": {"digest": digest}},
        "modelServer": {"image": {"digest": digest}},
        "loadBalancer": {"envoy": {"image": {"digest": digest}}},
        "batch": {"image": {"digest": digest}},
    }
    manifests = chart.render(values)
    pods = [pod_spec(manifest) for manifest in (*manifests.of("Deployment"), manifests.one("Pod"))]
    images = {one["image"] for pod in pods for one in containers(pod)}
    assert images == {
        f"ghcr.io/undertone/model@{digest}",
        f"ghcr.io/undertone/sidecar@{digest}",
        f"docker.io/tensorflow/serving@{digest}",
        f"docker.io/envoyproxy/envoy@{digest}",
        f"ghcr.io/undertone/batch@{digest}",
    }


def test_development_server_replaces_a_pinned_image(chart: Chart) -> None:
    """The overlay resets the digest that a published chart has for TF Serving."""
    assert DEV_SERVER["modelServer"]["image"]["digest"] == ""
