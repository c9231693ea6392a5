"""The runner `kubernetes` on a real API server: Spark's driver starts executors as pods."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pyspark
import pytest
from undertone_bench.chart import Chart, Manifest, Manifests
from undertone_bench.processes import free_ports

from tests.chart.support.api_server import ApiError, ApiServer, find_program, running_api_server
from tests.chart.support.combinations import COMBINATIONS
from tests.chart.support.kubelet import ADDRESS, environment, running_kubelet
from tests.chart.support.paths import ROOT
from tests.chart.support.pods import pod_template
from tests.integration.support.spark import JAVA_OPTIONS

ETCD, SERVER = find_program("etcd"), find_program("kube-apiserver")
pytestmark = pytest.mark.skipif(
    not (ETCD and SERVER), reason="etcd and kube-apiserver are not installed: .ci/kubernetes builds them"
)

RESTRICTED: Final = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
CUSTOM: Final = frozenset({"GRPCRoute", "NodePool", "PodMonitor", "PrometheusRule", "ScaledObject", "ServiceMonitor"})
SPARK: Final = Path(pyspark.__file__).parent
IMAGE: Final = {
    "SPARK_HOME": str(SPARK),
    "PYSPARK_PYTHON": sys.executable,
    "SPARK_LOCAL_IP": ADDRESS,
    "JAVA_TOOL_OPTIONS": JAVA_OPTIONS,
}
"""The environment variables of the batch image, with the paths and the address of this machine.

Java starts faster with JAVA_OPTIONS.
"""
ENTRYPOINT: Final = ROOT / "docker/batch/entrypoint.sh"

# Prints the pods in which the Python workers run.
DRIVER: Final = """
import os
from pyspark.sql import SparkSession
spark = SparkSession.builder.appName("undertone").getOrCreate()
tasks = spark.sparkContext.parallelize(range(8), 8)
print("executors", sorted(set(tasks.map(lambda _: os.environ["SPARK_EXECUTOR_POD_NAME"]).collect())))
spark.stop()
"""
SMALL: Final = (
    "spark.driver.memory=512m",
    "spark.executor.memory=512m",
    "spark.executor.memoryOverhead=384m",
    "spark.scheduler.minRegisteredResourcesRatio=1",
    "spark.ui.enabled=false",
    # All pods have the same address.
    "spark.driver.port=0",
    "spark.driver.blockManager.port=0",
    "spark.blockManager.port=0",
)


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


def test_api_server_accepts_all_objects(chart: Chart, api: ApiServer, namespace: str) -> None:
    for values in COMBINATIONS.values():
        for manifest in chart.render(values):
            if manifest["kind"] in CUSTOM | {"Pod"}:
                continue
            _, warnings = api.create(manifest, dry_run=True)
            # The server warns of deprecated versions, and of pods outside the restricted standard.
            assert warnings == [], manifest["metadata"]["name"]


@pytest.fixture
def release(chart: Chart, api: ApiServer, namespace: str) -> Manifests:
    """The release with the runner kubernetes and small executors."""
    base = COMBINATIONS["Spark on Kubernetes"]
    arguments = [f"--conf={setting}" for setting in SMALL]
    executors = {**base["batch"]["executors"], "instances": 2}
    manifests = chart.render({**base, "batch": {**base["batch"], "executors": executors, "sparkSubmitArgs": arguments}})
    for manifest in manifests:
        if manifest["kind"] in ("ConfigMap", "Role", "RoleBinding", "ServiceAccount"):
            api.create(manifest)
    return manifests


@pytest.fixture
def driver_pod(api: ApiServer, release: Manifests) -> Manifest:
    """A pod of the daily job, as the API server stored it."""
    template = pod_template(release.one("CronJob", "-daily"))
    metadata = {**template["metadata"], "name": "spring-undertone-daily-1-abcde", "namespace": "reading"}
    created, _ = api.create({"apiVersion": "v1", "kind": "Pod", **template, "metadata": metadata})
    pod: Manifest = created
    return pod


def run_driver(api: ApiServer, release: Manifests, pod: Manifest, folder: Path) -> tuple[str, Mapping[str, Manifest]]:
    """The output of a driver with the environment of its pod, and the pods of its executors."""
    token = folder / "token"
    token.write_text(api.token_of("reading", pod["spec"]["serviceAccountName"]))
    template = folder / "executor.yaml"
    template.write_text(release.one("ConfigMap", "-executor")["data"]["executor.yaml"])
    (folder / "driver.py").write_text(DRIVER)
    variables = environment(pod)
    files = {
        "spark.kubernetes.authenticate.oauthTokenFile": token,
        "spark.kubernetes.authenticate.caCertFile": api.certificate,
        "spark.kubernetes.executor.podTemplateFile": template,
    }
    local = "".join(f"'--conf={name}={value}' " for name, value in files.items())
    arguments = variables["PYSPARK_SUBMIT_ARGS"].replace("k8s://https://kubernetes.default.svc", f"k8s://https://{api.address}")
    variables["PYSPARK_SUBMIT_ARGS"] = arguments.replace("pyspark-shell", f"{local}pyspark-shell")
    with running_kubelet(api, "reading", ENTRYPOINT, IMAGE, folder) as kubelet:
        ran = subprocess.run(
            [sys.executable, folder / "driver.py"],
            env={**IMAGE, "PATH": "/usr/bin:/bin", **variables},
            cwd=folder,
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )
        logs = "".join(f"\n{file.name}:\n{file.read_text()}" for file in folder.glob("*.log"))
        assert ran.returncode == 0, ran.stderr + logs
        return ran.stdout + ran.stderr, dict(kubelet.seen)


def test_driver_runs_tasks_in_executors_that_pass_the_restricted_standard(
    api: ApiServer, release: Manifests, driver_pod: Manifest, tmp_path: Path
) -> None:
    output, pods = run_driver(api, release, driver_pod, tmp_path)
    names = [f"spring-undertone-daily-1-abcde-exec-{number}" for number in (1, 2)]
    assert f"executors {names}" in output
    assert sorted(pods) == names
    for pod in pods.values():
        assert_template_of_the_chart(pod, driver_pod)
    # The Role permits all that the driver does. At its end, the driver deletes its executors.
    assert "orbidden" not in output
    assert [pod["metadata"]["name"] for pod in api.pods("reading") if "spark-role" in pod["metadata"]["labels"]] == []
    assert_token_is_for_pods_only(api, driver_pod["spec"]["serviceAccountName"])


def assert_template_of_the_chart(pod: Manifest, driver_pod: Manifest) -> None:
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
    assert container["resources"] == {"requests": {"cpu": "1", "memory": "896Mi"}, "limits": {"cpu": "2", "memory": "896Mi"}}
    assert {"tmp", "output"} <= {mount["name"] for mount in container["volumeMounts"]}
    script = container["lifecycle"]["preStop"]["exec"]["command"]
    assert f"COPY docker/batch/decommission.sh {script[0]}\n" in (ROOT / "docker/batch/Dockerfile").read_text()


def assert_token_is_for_pods_only(api: ApiServer, account: str) -> None:
    driver = ApiServer(api.address, api.certificate, api.token_of("reading", account))
    for path in ("secrets", "configmaps", "services", "serviceaccounts"):
        with pytest.raises(ApiError) as refused:
            driver.call("GET", f"api/v1/namespaces/reading/{path}")
        assert refused.value.code == 403
    with pytest.raises(ApiError) as refused:
        driver.call("GET", "api/v1/namespaces/default/pods")
    assert refused.value.code == 403
