"""The inference pod: who starts and ends when, what is listened to, and how much of the CPU is taken."""

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from undertone_dev_server import environment
from undertone_dev_server import flags as model_server_flags
from undertone_dev_server.model_config import Specific
from undertone_sidecar.cpu import plan, read_machine
from undertone_sidecar.settings import Settings

from tests.chart.support.combinations import COMBINATIONS
from tests.chart.support.rendering import CHART, Chart, Manifest

SOCKET = "/run/undertone/model.sock"


def spec(chart: Chart, values: Mapping[str, Any] | None = None, file: str = "") -> Manifest:
    found: Manifest = chart.render(values, file=file).one("Deployment", "-inference")["spec"]["template"]["spec"]
    return found


def sidecar(chart: Chart, values: Mapping[str, Any] | None = None) -> Manifest:
    (container,) = spec(chart, values)["containers"]
    return dict(container)


def model_server(chart: Chart, values: Mapping[str, Any] | None = None) -> Manifest:
    return dict(spec(chart, values)["initContainers"][-1])


def flags(container: Manifest) -> dict[str, str]:
    return dict(argument.removeprefix("--").split("=", 1) for argument in container["args"])


def test_the_model_server_starts_before_the_sidecar_and_ends_after_it(chart: Chart) -> None:
    """Kubernetes ends native sidecars when the ordinary containers have ended, in reverse order of their start."""
    server = model_server(chart)
    assert server["name"] == "model-server"
    assert server["restartPolicy"] == "Always"
    # Without it, the sidecar would not wait for the model to be loaded.
    assert server["startupProbe"]["grpc"] == {"port": 8500}
    assert [container["name"] for container in spec(chart)["containers"]] == ["sidecar"]


def test_tf_serving_is_the_child_of_the_script(chart: Chart) -> None:
    server = model_server(chart)
    assert server["image"] == "docker.io/tensorflow/serving:2.19.1"
    assert server["command"] == ["/bin/bash", "/etc/undertone/serve.sh", "tensorflow_model_server"]
    script = chart.render().one("ConfigMap", "-inference")["data"]["serve.sh"]
    assert script.strip() == (CHART / "files/serve.sh").read_text().strip()


def test_the_stand_in_handles_signals_itself(chart: Chart) -> None:
    server = model_server(chart, COMBINATIONS["stand-in"])
    version = (CHART.parents[2] / "VERSION").read_text().strip()
    assert server["image"] == f"ghcr.io/undertone/dev-server:{version}"
    assert "command" not in server
    assert "serve.sh" not in chart.render(COMBINATIONS["stand-in"]).one("ConfigMap", "-inference")["data"]


def test_the_model_server_accepts_its_flags_and_configuration(chart: Chart, tmp_path: Path) -> None:
    """The stand-in reads the flags and the files that TF Serving reads."""
    for name in ("models.config", "monitoring.config"):
        (tmp_path / name).write_text(chart.render(COMBINATIONS["stand-in"]).one("ConfigMap", "-inference")["data"][name])
    given = {
        "model_config_file": str(tmp_path / "models.config"),
        "monitoring_config_file": str(tmp_path / "monitoring.config"),
        "grpc_socket_path": str(tmp_path / "s"),
    }
    arguments = {**flags(model_server(chart, COMBINATIONS["stand-in"])), **given}
    settings = model_server_flags.read([f"--{flag}={value}" for flag, value in arguments.items()], {})
    (model,) = settings.models
    assert (model.name, str(model.base_path), model.policy) == ("emotions", "/models/emotions", Specific(frozenset({1})))
    assert (settings.host, settings.port) == ("0.0.0.0", 8500)  # noqa: S104 - the kubelet asks from outside
    assert (settings.rest_api_port, settings.monitoring_path) == (8501, "/monitoring/prometheus/metrics")


def test_both_speak_over_the_same_socket(chart: Chart) -> None:
    assert flags(model_server(chart))["grpc_socket_path"] == SOCKET
    assert flags(sidecar(chart))["model-server"] == f"unix://{SOCKET}"
    for container in (sidecar(chart), model_server(chart)):
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
        ("4", {"batching": "passthrough"}),
        ("4", {"batching": "passthrough", "model-calls": 64}),
    ],
)
def test_the_model_servers_threads_are_those_that_the_sidecar_plans(
    chart: Chart, limit: object, settings: Mapping[str, object]
) -> None:
    values = {"modelServer": {"resources": {"limits": {"cpu": limit}}}, "sidecar": {"settings": settings}}
    given = [f"--{name}={value}" for name, value in flags(sidecar(chart, values)).items()]
    known = [flag for flag in given if flag.startswith(("--model-server-cpus=", "--model-calls=", "--batching="))]
    planned = plan(read_machine(), Settings.parse([*known, f"--model-dir={CHART}"], {}))
    server = flags(model_server(chart, values))
    assert int(server["tensorflow_intra_op_parallelism"]) == planned.intra_op
    assert int(server["tensorflow_inter_op_parallelism"]) == planned.inter_op


@pytest.mark.parametrize(("limit", "cpus"), [("2", 2.0), (4, 4.0), ("1500m", 1.5)])
def test_the_sidecar_plans_with_the_model_servers_cpus(chart: Chart, limit: object, cpus: float) -> None:
    """It cannot see them itself; it plans its own threads from its container's limit."""
    given = sidecar(chart, {"modelServer": {"resources": {"limits": {"cpu": limit}}}})
    planned = ["--model-server-cpus=" + flags(given)["model-server-cpus"], f"--model-dir={CHART}"]
    assert Settings.parse(planned, {}).model_server_cpus == cpus
    assert "env" not in given
    assert "tokenizer-threads" not in flags(given)


def test_the_pod_asks_for_what_the_papers_pods_had(chart: Chart) -> None:
    containers = (sidecar(chart), model_server(chart))
    requests = [container["resources"]["requests"] for container in containers]
    assert sum(int(request["cpu"].removesuffix("m")) for request in requests) == 2000
    assert sum(int(request["memory"].removesuffix("Mi")) for request in requests) == 4096
    assert model_server(chart)["resources"]["limits"]["cpu"] == "2"


def test_memory_is_never_promised_twice(chart: Chart) -> None:
    for container in (sidecar(chart), model_server(chart)):
        assert container["resources"]["requests"]["memory"] == container["resources"]["limits"]["memory"]


def test_probes_ask_the_health_service(chart: Chart) -> None:
    for container, port in ((sidecar(chart), 50051), (model_server(chart), 8500)):
        for probe in ("startupProbe", "readinessProbe"):
            assert container[probe]["grpc"] == {"port": port}
    assert sidecar(chart)["livenessProbe"]["grpc"] == {"port": 50051, "service": "liveness"}
    assert model_server(chart)["livenessProbe"]["grpc"] == {"port": 8500}
    assert flags(model_server(chart))["enable_grpc_healthcheck_service"] == "true"
    assert flags(sidecar(chart))["host"] == "0.0.0.0"  # noqa: S104 - the kubelet asks from outside


def test_start_up_has_the_time_that_values_give(chart: Chart) -> None:
    for container in (
        sidecar(chart, {"inference": {"startupSeconds": 90}}),
        model_server(chart, {"inference": {"startupSeconds": 90}}),
    ):
        assert container["startupProbe"]["periodSeconds"] * container["startupProbe"]["failureThreshold"] == 90


def test_the_grace_period_is_never_waited_out(chart: Chart) -> None:
    values = {"inference": {"drain": {"delaySeconds": 20, "periodSeconds": 100}}}
    given = flags(sidecar(chart, values))
    assert given["drain-delay-seconds"] == "20"
    assert given["grace-period-seconds"] == "100"
    assert spec(chart, values)["terminationGracePeriodSeconds"] > 100


def test_a_rolling_update_never_has_less_capacity(chart: Chart) -> None:
    update = chart.render().one("Deployment", "-inference")["spec"]["strategy"]["rollingUpdate"]
    assert update == {"maxSurge": "25%", "maxUnavailable": 0}


def test_settings_become_flags(chart: Chart) -> None:
    given = flags(sidecar(chart, {"sidecar": {"settings": {"max-batch-bytes": 33554432, "deadline-margin-seconds": 0.02}}}))
    assert given["max-batch-bytes"] == "33554432"
    assert given["deadline-margin-seconds"] == "0.02"
    assert given["log-format"] == "json"


@pytest.mark.parametrize("file", ["", "values-kind.yaml"])
def test_the_sidecar_accepts_its_flags(chart: Chart, file: str, tmp_path: Path) -> None:
    (container,) = spec(chart, file=file)["containers"]
    arguments = [re.sub(r"^--model-dir=.*", f"--model-dir={tmp_path}", argument) for argument in container["args"]]
    settings = Settings.parse(arguments, {})
    assert settings.served_name == "emotions"
    assert settings.grace_period_seconds >= settings.drain_delay_seconds


def test_pods_are_spread_and_counted_by_version(chart: Chart) -> None:
    constraints = spec(chart)["topologySpreadConstraints"]
    assert [constraint["topologyKey"] for constraint in constraints] == [
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    ]
    labels = chart.render().one("Deployment", "-inference")["spec"]["selector"]["matchLabels"]
    for constraint in constraints:
        assert constraint["labelSelector"] == {"matchLabels": labels}
        assert constraint["matchLabelKeys"] == ["pod-template-hash"]


def test_the_service_names_pods_one_by_one(chart: Chart) -> None:
    service = chart.render().one("Service", "-inference")
    assert service["spec"]["clusterIP"] == "None"


def test_priority_and_pull_secrets(chart: Chart) -> None:
    bare = spec(chart, COMBINATIONS["bare"])
    assert bare["priorityClassName"] == "serving"
    assert bare["imagePullSecrets"] == [{"name": "registry"}]
    assert bare["serviceAccountName"] == "default"
    assert "priorityClassName" not in spec(chart)


def test_the_model_server_computes_with_the_environment_that_is_recommended(chart: Chart) -> None:
    """The chart has a copy, as it can read no file outside itself."""
    copy = (CHART / "files" / environment.FILE).read_bytes()
    assert copy == files("undertone_dev_server").joinpath(environment.FILE).read_bytes()
    recommended = environment.recommended()
    assert recommended["TF_ONEDNN_ASSUME_FROZEN_WEIGHTS"] == "1"
    for kind in ("tf-serving", "stand-in"):
        given = model_server(chart, {"modelServer": {"kind": kind}})["env"]
        assert {variable["name"]: variable.get("value") for variable in given} == recommended


def test_a_user_can_change_the_model_servers_environment_and_add_to_it(chart: Chart) -> None:
    own = [{"name": "TF_ONEDNN_ASSUME_FROZEN_WEIGHTS", "value": "0"}, {"name": "TF_CPP_MIN_LOG_LEVEL", "value": "1"}]
    given = model_server(chart, {"modelServer": {"env": own}})["env"]
    assert given[-2:] == own
    names = [variable["name"] for variable in given]
    assert len(names) == len(set(names))
