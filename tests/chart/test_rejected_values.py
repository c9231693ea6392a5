"""Values that Kubernetes or Envoy would reject, most of them only at run time."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from undertone_bench.chart import Chart, HelmError

from tests.chart.support.combinations import COMBINATIONS
from tests.chart.support.paths import CHART

SCHEMA: Mapping[str, Any] = json.loads((CHART / "values.schema.json").read_text())
JOBS = COMBINATIONS["jobs to a claim"]["batch"]


def resources(requests: Mapping[str, object], limits: Mapping[str, object]) -> Mapping[str, Any]:
    return {"resources": {"requests": requests, "limits": limits}}


def envoy(**values: Any) -> Mapping[str, Any]:
    return {"loadBalancer": {"envoy": values}}


def clients(cidr: str, *exceptions: str) -> Mapping[str, Any]:
    return {"networkPolicy": {"clients": [{"ipBlock": {"cidr": cidr, "except": list(exceptions)}}]}}


def spark(runner: str = "kubernetes", **values: Any) -> Mapping[str, Any]:
    base = COMBINATIONS["Spark on Kubernetes"]
    return {**base, "batch": {**base["batch"], "runner": runner, **values}}


def catalog(catalog_type: str, **table: Any) -> Mapping[str, Any]:
    return {"table": {"catalog": {"type": catalog_type}, **table}}


def canary(**values: Any) -> Mapping[str, Any]:
    return {"canary": {"enabled": True, "model": {"version": 2}, **values}}


def daily(**values: Any) -> Mapping[str, Any]:
    return {"batch": {**JOBS, "daily": {**JOBS["daily"], **values}}}


def keda(min_replicas: int = 2, **values: Any) -> Mapping[str, Any]:
    base = COMBINATIONS["keda"]
    scaling = base["autoscaling"]
    return {
        **base,
        "autoscaling": {**scaling, "minReplicas": min_replicas, "keda": {**scaling["keda"], **values}},
    }


def schedule(**values: Any) -> Mapping[str, Any]:
    times = {"timeZone": "Etc/UTC", "start": "0 1 * * *", "end": "0 5 * * *", "replicas": 3}
    return keda(schedules=[{**times, **values}])


def pool(name: str) -> Mapping[str, Any]:
    return {"name": name, "weight": 10, "requirements": []}


REJECTED: list[tuple[Mapping[str, Any], str]] = [
    # The autoscaler.
    ({"autoscaling": {"minReplicas": 0}}, "autoscaling.minReplicas is 0, but autoscaling.type is hpa, which cannot start"),
    (keda(0), "autoscaling.minReplicas is 0, but no trigger would start the first of these pods: set autoscaling.keda.jobs"),
    (
        {**keda(0, jobs={"enabled": True, "names": "nightly"}), "spot": {"enabled": True}},
        "autoscaling.minReplicas is 0, but no",
    ),
    ({"spot": {"enabled": True, "minReplicas": 0}}, "spot.minReplicas is 0, but autoscaling.type is hpa"),
    ({**keda(), "spot": {"enabled": True, "minReplicas": 0}}, "spot.minReplicas is 0, but no trigger would start the first"),
    ({"spot": {"enabled": True, "minReplicas": 5, "maxReplicas": 4}}, "spot.minReplicas is 5 and spot.maxReplicas 4"),
    ({"spot": {"enabled": True, "noticeSeconds": 20}}, "/spot/noticeSeconds'"),
    ({"spot": {"enabled": True}, "loadBalancer": {"type": "none"}}, "spot.enabled is true, but loadBalancer.type is none"),
    (
        {"spot": {"enabled": True}, **envoy(healthCheck={"intervalSeconds": 5}), "inference": {"drain": {"delaySeconds": 20}}},
        "spot.noticeSeconds is 30, which leaves 10 s for the drain of a pod, but the health checks of Envoy need 11 s",
    ),
    ({"spot": {"enabled": True, "nodePool": {"value": "undertone"}}}, "have the same taint workload=undertone"),
    (keda(jobs={"enabled": True}), "autoscaling.keda.jobs.enabled is true, but Prometheus gets no metrics of the jobs"),
    (keda(jobs={"paragraphsPerSecond": 0}), "/autoscaling/keda/jobs/paragraphsPerSecond'"),
    (keda(jobs={"headroom": 0.9}), "/autoscaling/keda/jobs/headroom'"),
    (schedule(timeZone="Mars/Phobos"), "autoscaling.keda.schedules.timeZone is Mars/Phobos, which is not a time zone"),
    (schedule(end="0 1 * * *"), "autoscaling.keda.schedules has the start and the end 0 1 * * *: use different times"),
    (schedule(start="@daily"), "/autoscaling/keda/schedules/0/start'"),
    (
        {"sidecar": {"http": {"enabled": True}}},
        "sidecar.http.enabled is true with loadBalancer.type=envoy: remove it, because Envoy serves JSON",
    ),
    # The canary.
    (canary(model={}), "canary.model is empty: set the values in which the canary's model differs from `model`"),
    (canary(weight=5, mirror=100), "canary.weight is 5 and canary.mirror 100: set one of them to 0"),
    (canary(weight=101), "/canary/weight': maximum: got 101, want 100"),
    (canary(model={"precision": "int4"}), "/canary/model/precision'"),
    (
        {**canary(), "loadBalancer": {"type": "none"}},
        "canary.enabled is true, but loadBalancer.type is none: set it to envoy",
    ),
    (
        {**canary(model={"image": {"tag": "2"}}), "model": {"image": {"digest": f"sha256:{'0' * 64}"}}},
        "canary.model.image has no digest, but model.image.digest is set",
    ),
    (
        {**canary(compare={"inputs": ["s3://texts/sample.jsonl"]}), "networkPolicy": {"enabled": True}},
        "networkPolicy.objectStore is empty, so the test of canary.compare cannot reach its bucket",
    ),
    # Spark and its table.
    (
        spark(sparkSubmitArgs=["--master=local[4]"]),
        "batch.sparkSubmitArgs contains --master=local[4]: remove it, because the chart sets the master",
    ),
    (
        spark("spark", sparkSubmitArgs=["--conf=spark.master=yarn"], output={"claim": "scores"}, table={}),
        "batch.sparkSubmitArgs contains --conf=spark.master=yarn: use local[N], because batch.runner is spark",
    ),
    (spark(executors={"instances": 2, "minInstances": 3}), "batch.executors.minInstances is 3, more than"),
    (spark(executors={"cpuRequest": 3}), "batch.executors.cpuRequest is 3, more than batch.executors.cpuLimit (2)"),
    (spark(executors={"memory": "2Gi"}), "/batch/executors/memory'"),
    (spark(serviceAccount={"create": False}), "batch.serviceAccount.name is empty: name the service account of the drivers"),
    ({**spark(), "networkPolicy": {"objectStore": [{"ports": [{"port": 443}]}]}}, "networkPolicy.kubernetesApi is empty"),
    ({**spark(), "networkPolicy": {"kubernetesApi": [{"ports": [{"port": 443}]}]}}, "networkPolicy.objectStore is empty"),
    (spark(**catalog("sqlite")), "batch.table.catalog.type is sqlite, but batch.runner is kubernetes and the warehouse s3://"),
    (
        spark("spark", **catalog("sqlite")),
        "batch.table.catalog.type is sqlite, but batch.runner is spark and the warehouse s3://",
    ),
    (spark(**catalog("hadoop")), "batch.table.catalog.type is hadoop, but the warehouse s3://lake/tables is an object store"),
    (spark(**catalog("rest")), "batch.table.catalog.uri is empty: set the address of the catalogue"),
    (spark(output={}), "batch.output must have one destination"),
    (spark(table={"format": "parquet"}), "batch.table.format is parquet, which permits backfills only"),
    (
        spark(table={"format": "parquet"}, daily={"enabled": False}),
        "batch.table.format is parquet, but the warehouse s3://lake/tables is an object store",
    ),
    (spark(table={"name": "emotions"}), "/batch/table/name'"),
    (spark(table={"catalog": {"options": {"a b": "c"}}}), "a b"),
    # Requests and limits.
    (
        {"modelServer": resources({"cpu": "3"}, {"cpu": "2500m"})},
        "modelServer.resources.requests.cpu is 3, more than the limit 2500m: lower the request, or raise the limit",
    ),
    ({"sidecar": resources({"memory": "1Gi"}, {"memory": "512Mi"})}, "sidecar.resources.requests.memory is 1Gi, more than"),
    ({"sidecar": resources({"memory": "1G"}, {"memory": "900Mi"})}, "sidecar.resources.requests.memory is 1G, more than"),
    (envoy(**resources({"ephemeral-storage": "2Gi"}, {})), "envoy.resources.requests.ephemeral-storage is 2Gi, more than"),
    ({"batch": resources({"cpu": 3}, {})}, "batch.resources.requests.cpu is 3, more than the limit 2"),
    ({"test": resources({"cpu": 1}, {})}, "test.resources.requests.cpu is 1, more than"),
    ({"model": resources({"cpu": "30"}, {})}, "model.resources.requests.cpu is 30, more than"),
    ({"sidecar": resources({}, {"memory": "512m"})}, "sidecar.resources.limits.memory is 512m, less than 1 MiB"),
    ({"sidecar": resources({"memory": 512}, {})}, "sidecar.resources.requests.memory is 512, less than 1 MiB"),
    ({"sidecar": resources({}, {"cpu": 0})}, "sidecar.resources.limits.cpu is 0"),
    ({"sidecar": resources({}, {"cpu": -1})}, "/sidecar/resources/limits/cpu'"),
    # Jobs.
    (
        daily(timeZone="Mars/Phobos"),
        "batch.daily.timeZone is Mars/Phobos, which is not a time zone: use a name such as Europe/Berlin",
    ),
    (daily(timeZone="Local"), "batch.daily.timeZone is Local"),
    (daily(schedule="99 2 * * *"), "/batch/daily/schedule'"),
    (daily(schedule="0 2 * * mox"), "/batch/daily/schedule'"),
    (daily(schedule="@noon"), "/batch/daily/schedule'"),
    # Network.
    (clients("10.0.0.0/33"), "networkPolicy.clients has the CIDR 10.0.0.0/33, which is invalid: use a form such as 10.0.0.0/8"),
    (clients("10.0.0.256/8"), "networkPolicy.clients has the CIDR 10.0.0.256/8"),
    (clients("10.0.0.1"), "networkPolicy.clients has the CIDR 10.0.0.1"),
    (clients("fd00::/129"), "networkPolicy.clients has the CIDR fd00::/129"),
    (clients("10.0.0.0/8", "10.1.0.0/40"), "networkPolicy.clients has the CIDR 10.1.0.0/40"),
    (
        {"networkPolicy": {"objectStore": [{"to": [{"ipBlock": {"cidr": "all"}}]}]}},
        "networkPolicy.objectStore has the CIDR all",
    ),
    ({"networkPolicy": {"clients": [{"podSelecter": {}}]}}, "/networkPolicy/clients/0'"),
    ({"networkPolicy": {"telemetry": [{"ports": [{"port": 70000}]}]}}, "/networkPolicy/telemetry/0/ports/0/port'"),
    (envoy(ports={"metrics": 9901}), "loadBalancer.envoy.ports: api is 50051, metrics 9901 and admin 9901"),
    (envoy(address="localhost"), "/loadBalancer/envoy/address'"),
    ({"telemetry": {"dogstatsd": {"mode": "address", "address": "agent:99999"}}}, "/telemetry/dogstatsd/address'"),
    ({"telemetry": {"otlp": {"endpoint": "http://collector:99999"}}}, "/telemetry/otlp/endpoint'"),
    # Names and labels.
    ({"inference": {"podLabels": {"team": "a b"}}}, "/inference/podLabels/team'"),
    ({"inference": {"podLabels": {"bad key": "a"}}}, "/inference/podLabels'"),
    ({"inference": {"podLabels": {"app.kubernetes.io/name": "other"}}}, "inference.podLabels sets app.kubernetes.io/name"),
    (envoy(podLabels={"app.kubernetes.io/instance": "other"}), "loadBalancer.envoy.podLabels sets app.kubernetes.io/instance"),
    ({"inference": {"podAnnotations": {"bad key": "a"}}}, "/inference/podAnnotations'"),
    ({"nodePool": {"key": "bad key"}}, "/nodePool/key'"),
    ({"nodePool": {"value": "-a"}}, "/nodePool/value'"),
    ({"nodePool": {"tolerations": [{"key": "a", "operater": "Exists"}]}}, "/nodePool/tolerations/0'"),
    (
        {"nodePool": {"karpenter": {"enabled": True, "pools": [pool("general"), pool("amx"), pool("general")]}}},
        "nodePool.karpenter.pools has more than one entry with the name general: use another name for each",
    ),
    ({"inference": {"priorityClassName": "Serving Class"}}, "/inference/priorityClassName'"),
    (envoy(tls={"secretName": "My_Secret"}), "/loadBalancer/envoy/tls/secretName'"),
    ({"fullnameOverride": "1st"}, "/fullnameOverride'"),
    ({"sidecar": {"image": {"repository": "Registry/Sidecar"}}}, "/sidecar/image/repository'"),
    ({"sidecar": {"image": {"tag": ".1"}}}, "/sidecar/image/tag'"),
    # Settings of the sidecar.
    ({"sidecar": {"settings": {"batch-tokens": "many"}}}, "/sidecar/settings/batch-tokens'"),
    ({"sidecar": {"settings": {"batch-lane-share": 1}}}, "/sidecar/settings/batch-lane-share'"),
    ({"sidecar": {"settings": {"log-format": "xml"}}}, "/sidecar/settings/log-format'"),
    (
        {"sidecar": {"settings": {"max-batch-bytes": 1000}}},
        "sidecar.settings.max-batch-bytes is 1000, less than max-paragraph-bytes (65536)",
    ),
    (
        {"sidecar": {"settings": {"max-queue": "100"}}},
        "sidecar.settings.max-queue is 100, less than max-batch-paragraphs (256)",
    ),
    (
        {"sidecar": {"settings": {"http-hosts": "score.example"}}},
        "sidecar.settings.http-hosts is score.example, but sidecar.http.enabled is false",
    ),
    # Numbers that Helm would write as 1e+06, which Envoy and Kubernetes cannot read.
    (envoy(timeouts={"callSeconds": 1000000}), "/loadBalancer/envoy/timeouts/callSeconds'"),
    (envoy(maxConnectionSeconds=1000000), "/loadBalancer/envoy/maxConnectionSeconds'"),
    ({"inference": {"revisionHistoryLimit": 1000000}}, "/inference/revisionHistoryLimit'"),
]


@pytest.mark.parametrize(("values", "message"), REJECTED, ids=lambda part: "" if isinstance(part, str) else json.dumps(part))
def test_a_wrong_value_is_refused_by_name(chart: Chart, values: Mapping[str, Any], message: str) -> None:
    with pytest.raises(HelmError) as error:
        chart.render({"networkPolicy": {"enabled": False}, **values})
    assert message in str(error.value)


ACCEPTED: list[Mapping[str, Any]] = [
    {"modelServer": resources({"cpu": 2}, {"cpu": "2000m"})},
    {"sidecar": resources({"memory": "1G"}, {"memory": "1Gi"})},
    {"sidecar": resources({"memory": 536870912}, {"memory": "512Mi"})},
    *(daily(timeZone=zone) for zone in ("Europe/Berlin", "America/Argentina/Buenos_Aires", "UTC", "Etc/GMT+5", "Zulu")),
    *(daily(schedule=cron) for cron in ("@daily", "*/15 0-6,22 1 JAN-mar mon", "0 2 * * 1-5/2", "0 2 ? * 7", "@every 2h30m")),
    *(clients(cidr) for cidr in ("0.0.0.0/0", "10.1.2.3/32", "::/0", "2001:db8::/48", "::ffff:10.0.0.0/104")),
    {"inference": {"podLabels": {"example.com/team": "", "a": "b_c.d-e"}, "podAnnotations": {"example.com/a": "b c\nd"}}},
    {"nodePool": {"tolerations": [{"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}]}},
    {"sidecar": {"image": {"repository": "registry.example:5000/team/side_car", "tag": "v1.0"}}},
    {"sidecar": {"settings": {"batch-tokens": "1024", "batch-lane-share": "0.2", "poll-seconds": 0.5, "model-calls": 0}}},
    {"telemetry": {"otlp": {"endpoint": "http://[fd00::1]:4317"}}},
    envoy(address="::"),
]


@pytest.mark.parametrize("values", ACCEPTED, ids=json.dumps)
def test_unusual_but_valid_values_are_accepted(chart: Chart, values: Mapping[str, Any]) -> None:
    chart.render({"networkPolicy": {"enabled": False}, **values})


@pytest.mark.parametrize("release", ["emotions.prod", "1st", "9.lives", "r" * 53])
def test_every_release_name_gives_valid_names(chart: Chart, release: str) -> None:
    """Services need a DNS label (RFC 1035); Helm also allows dots, and a digit at the start."""
    manifests = chart.render(COMBINATIONS["jobs to a claim"], release=release)
    for manifest in manifests:
        name = manifest["metadata"]["name"]
        assert name.replace("-", "").isalnum()
        assert name[0].isalpha()
        assert len(name) <= (52 if manifest["kind"] == "CronJob" else 63)


def test_releases_whose_names_share_their_beginning_have_different_names(chart: Chart) -> None:
    shared = "a-team-with-a-very-long-name-for-its-emotions"
    releases = (f"{shared}-1", f"{shared}-2", "a.b", "a-b", "1a", "undertone-1a")
    names = [chart.render(release=release).one("Deployment", "-inference")["metadata"]["name"] for release in releases]
    assert len(set(names)) == len(releases)


def test_ordinary_release_names_are_unchanged(chart: Chart) -> None:
    for release, expected in {"spring": "spring-undertone", "undertone": "undertone", "my-undertone": "my-undertone"}.items():
        assert chart.render(release=release).one("Deployment", "-inference")["metadata"]["name"] == f"{expected}-inference"


def test_notes_tell_how_to_check_priority_classes(chart: Chart) -> None:
    values = {"inference": {"priorityClassName": "serving"}, "loadBalancer": {"envoy": {"priorityClassName": "edge"}}}
    notes = chart.notes(values)
    assert "kubectl get priorityclass edge serving" in notes
    assert "priorityclass" not in chart.notes()


def numbers(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """All numbers of the schema, by their path."""
    kinds = schema.get("type")
    if not {"integer", "number"}.isdisjoint([kinds] if isinstance(kinds, str) else kinds or []):
        yield path, schema
    for name in ("properties", "definitions"):
        for key, value in schema.get(name, {}).items():
            yield from numbers(value, f"{path}/{key}")
    for part in (schema.get("items"), schema.get("additionalProperties"), *schema.get("oneOf", ())):
        if isinstance(part, Mapping):
            yield from numbers(part, path)


def test_every_number_has_a_maximum_that_helm_writes_with_digits() -> None:
    """Helm reads numbers as floating-point, and writes them from 1e6 with an exponent."""
    written_as_integers = {
        "/model/version",
        "/loadBalancer/envoy/maxRequestBytes",
        "/sidecar/redis/ttlSeconds",
        "/wholeNumber",
        "/quantity",
    }
    found = dict(numbers(SCHEMA))
    assert found.keys() >= written_as_integers
    for path, schema in found.items():
        maximum = schema.get("maximum", schema.get("exclusiveMaximum"))
        assert path in written_as_integers or (maximum is not None and maximum <= 999_999), path


def test_rendered_objects_have_no_numbers_with_exponents(chart: Chart) -> None:
    values = {
        "model": {"version": 20261129},
        "sidecar": {
            "settings": {"max-batch-bytes": 4194304},
            "redis": {"url": "rediss://redis:6379/0", "ttlSeconds": 315360000},
        },
        "networkPolicy": {"redis": [{"ports": [{"port": 6379}]}]},
        **envoy(maxRequestBytes=8388608, resources={"limits": {"memory": "1Gi"}}),
    }
    objects = [{key: part for key, part in one.items() if key != "binaryData"} for one in chart.render(values)]
    rendered = json.dumps(objects)
    assert "--max-batch-bytes=4194304" in rendered
    assert "--cache-redis-ttl-seconds=315360000" in rendered
    # YAML reads 1e+06 as text, and 1.5e+06 as a floating-point number.
    assert re.search(r"\de\+\d|\d{7,}\.0\b", rendered) is None
