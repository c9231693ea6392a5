"""The runner `kubernetes` on a real API server: Spark's driver starts executors as pods."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pyspark
import pytest
import yaml
from undertone_bench.chart import Chart, Manifest, Manifests
from undertone_bench.processes import free_ports

from tests.chart.support.api_server import ApiError, ApiServer, find_program, running_api_server
from tests.chart.support.combinations import COMBINATIONS
from tests.chart.support.kubelet import ADDRESS, environment, running_kubelet
from tests.chart.support.paths import ROOT
from tests.chart.support.pods import pod_template

ETCD, SERVER = find_program("etcd"), find_program("kube-apiserver")
pytestmark = pytest.mark.skipif(
    not (ETCD and SERVER), reason="etcd and kube-apiserver are not installed: .ci/kubernetes builds them"
)

RESTRICTED: Final = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
CUSTOM: Final = frozenset({"GRPCRoute", "NodePool", "PodMonitor", "PrometheusRule", "ScaledObject", "ServiceMonitor"})
SPARK: Final = Path(pyspark.__file__).parent
IMAGE: Final = {"SPARK_HOME": str(SPARK), "PYSPARK_PYTHON": sys.executable}
"""The environment variables of the batch image, with this machine's paths."""

# Counts processes of executors. Each executor has a Python worker of its own.
DRIVER: Final = """
from pyspark.sql import SparkSession
import os
spark = SparkSession.builder.appName("undertone").getOrCreate()
hosts = spark.sparkContext.parallelize(range(8), 8).map(lambda _: (os.environ["SPARK_EXECUTOR_POD_NAME"], os.getppid())).collect()
print("executors", sorted({name for name, _ in hosts}))
spark.stop()
"""


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    assert ETCD
    assert SERVER
    client, peer, secure = free_ports(3)
    with running_api_server(tmp_path_factory.mktemp("kubernetes"), ETCD, SERVER, (client, peer, secure)) as running:
        yield running


@pytest.fixture(scope="module")
def namespace(api: ApiServer) -> str:
    """A namespace that refuses pods outside the restricted standard."""
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "reading", "labels": RESTRICTED}})
    return "reading"


@pytest.mark.parametrize("combination", [name for name in COMBINATIONS if name != "minimal"])
def test_api_server_accepts_all_objects(chart: Chart, api: ApiServer, namespace: str, combination: str) -> None:
    for manifest in chart.render(COMBINATIONS[combination]):
        if manifest["kind"] in CUSTOM | {"Pod"}:
            continue
        _, warnings = api.create(manifest, dry_run=True)
        # The server warns of deprecated versions, and of pods outside the restricted standard.
        assert warnings == [], manifest["metadata"]["name"]


@pytest.fixture(scope="module")
def release(chart: Chart, api: ApiServer, namespace: str) -> Manifests:
    """The release with the runner kubernetes, on one host: the ports of the pods must differ."""
    base = COMBINATIONS["Spark on Kubernetes"]
    ports = ["spark.driver.port", "spark.driver.blockManager.port", "spark.blockManager.port"]
    small = ["spark.executor.memory=512m", "spark.executor.memoryOverhead=384m", "spark.driver.memory=512m", "spark.ui.enabled=false"]
    arguments = [f"--conf={setting}" for setting in (*small, *(f"{port}=0" for port in ports))]
    executors = {**base["batch"]["executors"], "instances": 2}
    manifests = chart.render({**base, "batch": {**base["batch"], "executors": executors, "sparkSubmitArgs": arguments}})
    for manifest in manifests:
        if manifest["kind"] in ("ConfigMap", "Role", "RoleBinding", "ServiceAccount"):
            api.create(manifest)
    return manifests


@pytest.fixture(scope="module")
def driver_pod(api: ApiServer, release: Manifests) -> Manifest:
    """A pod of the daily job, as the API server stored it."""
    template = pod_template(release.one("CronJob", "-daily"))
    metadata = {**template["metadata"], "name": "spring-undertone-daily-1-abcde", "namespace": "reading"}
    created, _ = api.create({"apiVersion": "v1", "kind": "Pod", **template, "metadata": metadata})
    pod: Manifest = created
    return pod


@pytest.fixture(scope="module")
def run(
    api: ApiServer, release: Manifests, driver_pod: Manifest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Mapping[str, Manifest]]:
    """The output of a driver with the environment of its pod, and the pods of its executors."""
    folder = tmp_path_factory.mktemp("driver")
    token = folder / "token"
    token.write_text(api.token_of("reading", driver_pod["spec"]["serviceAccountName"]))
    template = folder / "executor.yaml"
    template.write_text(release.one("ConfigMap", "-executor")["data"]["executor.yaml"])
    (folder / "driver.py").write_text(DRIVER)
    variables = environment(driver_pod)
    files = {
        "spark.kubernetes.authenticate.oauthTokenFile": token,
        "spark.kubernetes.authenticate.caCertFile": api.certificate,
        "spark.kubernetes.executor.podTemplateFile": template,
    }
    local = "".join(f"'--conf={name}={value}' " for name, value in files.items())
    arguments = variables["PYSPARK_SUBMIT_ARGS"].replace("k8s://https://kubernetes.default.svc", f"k8s://{api.url}")
    variables["PYSPARK_SUBMIT_ARGS"] = arguments.replace("pyspark-shell", f"{local}pyspark-shell")
    entrypoint = ROOT / "docker/batch/entrypoint.sh"
    with running_kubelet(api, "reading", entrypoint, {**IMAGE, "SPARK_LOCAL_IP": ADDRESS}, folder) as kubelet:
        ran = subprocess.run(
            [sys.executable, folder / "driver.py"],
            env={**IMAGE, "PATH": "/usr/bin:/bin", "SPARK_LOCAL_IP": ADDRESS, **variables},
            cwd=folder,
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )
        logs = "".join(f"\n{file.name}:\n{file.read_text()}" for file in folder.glob("*.log"))
        assert ran.returncode == 0, ran.stderr + logs
        return ran.stdout + ran.stderr, dict(kubelet.seen)


def test_driver_runs_tasks_in_pods_of_executors(run: tuple[str, Mapping[str, Manifest]]) -> None:
    output, pods = run
    names = [f"spring-undertone-daily-1-abcde-exec-{number}" for number in (1, 2)]
    assert f"executors {names}" in output
    assert sorted(pods) == names


def test_role_permits_what_the_driver_does(run: tuple[str, Mapping[str, Manifest]], api: ApiServer) -> None:
    output, _ = run
    assert "orbidden" not in output
    # The driver has deleted its executors.
    assert [pod["metadata"]["name"] for pod in api.pods("reading") if "spark-role" in pod["metadata"]["labels"]] == []


def test_executors_keep_the_template_of_the_chart(run: tuple[str, Mapping[str, Manifest]], driver_pod: Manifest) -> None:
    _, pods = run
    for pod in pods.values():
        (owner,) = pod["metadata"]["ownerReferences"]
        assert owner["uid"] == driver_pod["metadata"]["uid"]
        assert pod["metadata"]["labels"]["app.kubernetes.io/component"] == "executor"
        spec = pod["spec"]
        assert (spec["serviceAccountName"], spec["automountServiceAccountToken"]) == ("spring-undertone", False)
        assert spec["terminationGracePeriodSeconds"] == 60
        assert {"key": "workload", "operator": "Equal", "value": "batch", "effect": "NoSchedule"} in spec["tolerations"]
        assert spec["nodeSelector"] == {"workload": "batch"}
        (container,) = spec["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["resources"] == {
            "requests": {"cpu": "1", "memory": "896Mi"},
            "limits": {"cpu": "2", "memory": "896Mi"},
        }
        assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]
        assert container["lifecycle"]["preStop"]["exec"]["command"] == ["/opt/decom.sh"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "secrets"), ("GET", "configmaps"), ("GET", "services"), ("POST", "serviceaccounts/spring-undertone/token")],
)
def test_driver_reads_nothing_else(api: ApiServer, driver_pod: Manifest, method: str, path: str) -> None:
    account = driver_pod["spec"]["serviceAccountName"]
    driver = ApiServer(api.url, api.certificate, api.token_of("reading", account))
    with pytest.raises(ApiError) as refused:
        driver.call(method, f"api/v1/namespaces/reading/{path}", {} if method == "POST" else None)
    assert refused.value.code == 403
