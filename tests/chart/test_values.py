"""The values: validation by the schema and the checks, documentation, and the notes."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from undertone_bench.chart import Chart, HelmError

from tests.chart.support.combinations import COMBINATIONS
from tests.chart.support.paths import CHART, ROOT

PARAGRAPH = """'{"text": "At last, home!"}'"""


def envoy(**values: Any) -> Mapping[str, Any]:
    return {"loadBalancer": {"envoy": values}}


def jwt(**jwks: Any) -> Mapping[str, Any]:
    return {"type": "jwt", "jwt": {"issuer": "https://issuer.example", "audiences": ["undertone"], "jwks": jwks}}


def monitoring(**values: Any) -> Mapping[str, Any]:
    return {"monitoring": values}


def batch(**values: Any) -> Mapping[str, Any]:
    return {"batch": values}


def describe(parameter: Any) -> str:
    """The id of a test: the values, without the message."""
    return "" if isinstance(parameter, str) else json.dumps(parameter).replace('"', "")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"autoscaling": {"maxRepilcas": 3}}, "/autoscaling': additional properties 'maxRepilcas' not allowed"),
        ({"autscaling": {}}, "additional properties 'autscaling' not allowed"),
        ({"autoscaling": {"cpuPercent": 170}}, "/autoscaling/cpuPercent': maximum: got 170, want 100"),
        ({"autoscaling": {"type": "vpa"}}, "/autoscaling/type': value must be one of 'hpa', 'keda', 'none'"),
        ({"model": {"precision": "fp16"}}, "/model/precision': value must be one of 'auto', 'fp32', 'bf16'"),
        ({"model": {"version": "latest"}}, "/model/version': got string, want integer"),
        ({"model": {"url": "https://bucket"}}, "/model/url': 'https://bucket' does not match pattern"),
        ({"sidecar": {"image": {"tag": "a b"}}}, "/sidecar/image/tag': 'a b' does not match pattern"),
        (
            {"sidecar": {"image": {"repository": "sidecar:1.0"}}},
            "/sidecar/image/repository': 'sidecar:1.0' does not match pattern",
        ),
        ({"sidecar": {"settings": {"batch-token": 1}}}, "/sidecar/settings': additional properties 'batch-token' not allowed"),
        ({"sidecar": {"settings": {"port": 1}}}, "/sidecar/settings': additional properties 'port' not allowed"),
        ({"sidecar": {"resources": {"limits": {"cpu": None}}}}, "/sidecar/resources/limits': missing property 'cpu'"),
        (
            {"modelServer": {"extraArgs": ["enable_batching"]}},
            "/modelServer/extraArgs/0': 'enable_batching' does not match pattern",
        ),
        ({"inference": {"strategy": {"maxSurge": "a lot"}}}, "/inference/strategy/maxSurge'"),
        ({"nodePool": {"effect": "Evict"}}, "/nodePool/effect': value must be one of"),
        ({"nodePool": {"karpenter": {"pools": []}}}, "/nodePool/karpenter/pools': minItems: got 0, want 1"),
        ({"batch": {"daily": {"schedule": "daily"}}}, "/batch/daily/schedule': 'daily' does not match pattern"),
        ({"networkPolicy": {"clients": {"podSelector": {}}}}, "/networkPolicy/clients': got object, want array"),
        ({"monitoring": {"monitor": "both"}}, "/monitoring/monitor': value must be one of"),
        ({"loadBalancer": {"type": "nginx"}}, "/loadBalancer/type': value must be one of 'envoy', 'gatewayAPI', 'none'"),
        (envoy(retry={}), "/loadBalancer/envoy': additional properties 'retry' not allowed"),
        (envoy(retries={"conditions": ["sometimes"]}), "/loadBalancer/envoy/retries/conditions/0'"),
        (
            envoy(outlierDetection={"mostPercent": 101}),
            "/loadBalancer/envoy/outlierDetection/mostPercent': maximum: got 101, want 100",
        ),
        (envoy(timeouts={"attemptSeconds": {"Translate": 1}}), "additional properties 'Translate' not allowed"),
        (envoy(maxRequestBytes=10), "/loadBalancer/envoy/maxRequestBytes'"),
        (monitoring(slo={"seconds": {"Classify": 1}}), "/monitoring/slo/seconds/Classify': value must be one of"),
        (monitoring(slo={"seconds": {"GetModel": 1.024}}), "additional properties 'GetModel' not allowed"),
        (monitoring(slo={"availability": 99.9}), "/monitoring/slo/availability': exclusiveMaximum"),
        (monitoring(alerts={"sheding": {"for": "1m"}}), "additional properties 'sheding' not allowed"),
        (monitoring(alerts={"shedding": {"share": 2}}), "/monitoring/alerts/shedding/share'"),
        (monitoring(alerts={"shedding": {"for": "soon"}}), "/monitoring/alerts/shedding/for': 'soon' does not match pattern"),
    ],
    ids=describe,
)
def test_schema_rejects_wrong_values_by_name(chart: Chart, values: Mapping[str, Any], message: str) -> None:
    with pytest.raises(HelmError) as error:
        chart.render(values)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"autoscaling": {"minReplicas": 5, "maxReplicas": 4}}, "autoscaling.minReplicas is 5 and autoscaling.maxReplicas 4"),
        ({"inference": {"drain": {"delaySeconds": 60}}}, "inference.drain.delaySeconds is 60"),
        (envoy(healthCheck={"intervalSeconds": 5}), "inference.drain.delaySeconds is 10: the health checks of Envoy need 11 s"),
        ({"inference": {"strategy": {"maxSurge": 0}}}, "are both 0, so a rolling update could replace no pod: set one"),
        (
            envoy(autoscaling={"minReplicas": 11}),
            "envoy.autoscaling.minReplicas is 11 and loadBalancer.envoy.autoscaling.maxReplicas 10",
        ),
        (
            {"monitoring": {"monitor": "service", "datadog": True}},
            "networkPolicy.monitoring is empty, so metrics cannot be read "
            "(monitoring.monitor is service; monitoring.datadog is true)",
        ),
        (
            {"autoscaling": {"type": "keda", "keda": {"prometheusUrl": "http://prometheus:9090"}}},
            "networkPolicy.monitoring is empty, so metrics cannot be read (autoscaling.type is keda)",
        ),
        (
            {"telemetry": {"dogstatsd": {"mode": "node"}, "pushgateway": "http://gateway:9091"}},
            "networkPolicy.telemetry is empty, so telemetry cannot leave the pods "
            "(telemetry.dogstatsd.mode is node; telemetry.pushgateway is set)",
        ),
        (
            {"telemetry": {"dogstatsd": {"mode": "address"}}, "networkPolicy": {"enabled": False}},
            "telemetry.dogstatsd.address is empty",
        ),
        (envoy(tls={"secretName": "server"}), "clients.tlsSecretName is empty"),
        (
            {"sidecar": {"settings": {"batching": "passthrough"}}},
            "sidecar.settings.batching is passthrough: the setting was removed",
        ),
        ({"modelServer": {"extraArgs": ["--enable_batching=true"]}}, "modelServer.extraArgs contains --enable_batching=true"),
        (envoy(tls={"clientCASecretName": "clients"}), "loadBalancer.envoy.tls.secretName is empty"),
        (envoy(authentication={"type": "apiKey"}), "authentication.apiKey.secretName is empty"),
        (envoy(authentication={"type": "jwt"}), "authentication.jwt.issuer is empty"),
        (envoy(authentication={"type": "jwt", "jwt": {"issuer": "a"}}), "authentication.jwt.audiences is empty"),
        (envoy(authentication=jwt()), "authentication.jwt.jwks has 0 sources of keys (none is set)"),
        (
            envoy(authentication=jwt(url="https://a/", secretName="b")),
            "authentication.jwt.jwks has 2 sources of keys (https://a/, b)",
        ),
        (envoy(authentication=jwt(url="https://a/")), "networkPolicy.jwks is empty"),
        (
            envoy(authentication={"type": "apiKey", "apiKey": {"secretName": "keys"}}),
            "clients.credentials.secretName is empty, so Envoy would reject `helm test` and the jobs",
        ),
        (
            {"loadBalancer": {"type": "none", "envoy": {"authentication": {"type": "apiKey"}}}},
            "only Envoy authenticates callers",
        ),
        (
            {
                "loadBalancer": {"type": "gatewayAPI", "gatewayAPI": {"parentRefs": [{"name": "public"}]}},
                "sidecar": {"tls": {"secretName": "sidecars"}},
            },
            "clients.tlsSecretName is empty, so `helm test` and the jobs would call the service without TLS",
        ),
        (
            envoy(callers={"identity": "authentication"}),
            "callers.identity is authentication, but loadBalancer.envoy.authentication.type is none",
        ),
        (envoy(callers={"identity": "certificate"}), "callers.identity is certificate, but Envoy asks for no certificates"),
        (envoy(callers={"identity": "header"}), "callers.header is empty"),
        ({"loadBalancer": {"type": "gatewayAPI"}}, "name the Gateway"),
        ({"autoscaling": {"type": "keda"}, "networkPolicy": {"enabled": False}}, "autoscaling.keda.prometheusUrl is empty"),
        ({"model": {"source": "claim"}}, "model.claim.name is empty"),
        ({"model": {"source": "objectStore"}, "networkPolicy": {"enabled": False}}, "model.url is empty"),
        ({"model": {"source": "objectStore", "url": "s3://models"}}, "networkPolicy.objectStore is empty"),
        (batch(backfill={"enabled": True}, output={"claim": "scores"}), "batch.backfill.inputs is empty"),
        (batch(backfill={"enabled": True, "inputs": ["a.txt"]}), "batch.output must have one destination for the results"),
        (
            batch(backfill={"enabled": True, "inputs": ["s3://posts/"]}, output={"claim": "scores"}),
            "networkPolicy.objectStore is empty, so batch.backfill cannot reach its bucket",
        ),
        (
            batch(daily={"enabled": True, "inputs": ["a.txt"]}, output={"claim": "scores", "url": "s3://scores"}),
            "batch.output must have one destination for the results",
        ),
        *(
            (
                batch(sparkSubmitArgs=[master]),
                f"batch.sparkSubmitArgs contains {master}: use local[N]",
            )
            for master in ("--master=spark://spark:7077", "--conf=spark.master=yarn", "--master")
        ),
        (
            {
                "loadBalancer": {"envoy": {"tls": {"secretName": "server", "clientCASecretName": "callers"}}},
                "clients": {"tlsSecretName": "client"},
            },
            "clients.mutualTls is false",
        ),
        ({"clients": {"tlsSecretName": "client"}}, "the target of `helm test` and the jobs uses plaintext"),
        ({"sidecar": {"tls": {"clientCASecretName": "callers"}}}, "sidecar.tls.secretName is empty"),
        (
            {"sidecar": {"tls": {"secretName": "server", "clientCASecretName": "callers"}}},
            "sidecar.tls.envoySecretName is empty, so the sidecars would reject Envoy",
        ),
        ({"loadBalancer": {"type": "none"}, "sidecar": {"tls": {"secretName": "server"}}}, "clients.tlsSecretName is empty"),
        (
            {
                "loadBalancer": {"type": "none", "envoy": {"tls": {"secretName": "server"}}},
                "clients": {"tlsSecretName": "client"},
            },
            "the target of `helm test` and the jobs uses plaintext",
        ),
    ],
    ids=describe,
)
def test_checks_reject_inconsistent_values(chart: Chart, values: Mapping[str, Any], message: str) -> None:
    with pytest.raises(HelmError) as error:
        chart.render(values)
    assert message in str(error.value)


def test_subchart_accepts_global_values(chart: Chart) -> None:
    """Helm passes `global` to subcharts."""
    assert chart.render({"global": {"imageRegistry": "elsewhere"}}).all == chart.render().all


def test_readme_is_up_to_date() -> None:
    subprocess.run([sys.executable, str(ROOT / "deploy/helm/readme.py"), "--check"], check=True)


def test_values_have_descriptions() -> None:
    """Fields of images, resources, settings, strategy and behavior need none of their own."""
    rows = [line for line in (CHART / "README.md").read_text().splitlines() if line.startswith("| `")]
    undescribed = [row.split("`")[1] for row in rows if row.endswith("|  |")]
    exempt = re.compile(r"\b(image|resources|settings|strategy|behavior)\.")
    assert [path for path in undescribed if not exempt.search(path)] == []


@pytest.mark.parametrize(
    ("values", "second", "third"),
    [
        ({}, "grpcurl -plaintext -d", f"curl --json {PARAGRAPH} http://localhost:50051/v1/paragraphs:classify"),
        ({"loadBalancer": {"type": "none"}}, "grpcurl -plaintext -d", 'undertone classify "At last, home!"'),
        (
            {"loadBalancer": {"envoy": {"tls": {"secretName": "server"}}}, "clients": {"tlsSecretName": "client"}},
            "grpcurl -insecure -d",
            f"curl -k --json {PARAGRAPH} https://localhost:50051/v1/paragraphs:classify",
        ),
        (
            COMBINATIONS["TLS"],
            "grpcurl -insecure -cert tls.crt -key tls.key -d",
            f"curl -k --cert tls.crt --key tls.key --json {PARAGRAPH} https://localhost:50051/v1/paragraphs:classify",
        ),
        (
            {
                "loadBalancer": {"type": "none"},
                "sidecar": {"tls": {"secretName": "sidecars"}},
                "clients": {"tlsSecretName": "client"},
            },
            "grpcurl -insecure -d",
            "",
        ),
        (
            {"loadBalancer": {"envoy": {"reflection": False}}},
            "grpcurl -plaintext -protoset deploy/helm/undertone/files/envoy/classifier.binpb -d",
            f"curl --json {PARAGRAPH} http://localhost:50051/v1/paragraphs:classify",
        ),
    ],
    ids=["defaults", "none", "TLS", "mTLS", "none with TLS", "no reflection"],
)
def test_notes_have_commands_that_work(chart: Chart, values: Mapping[str, Any], second: str, third: str) -> None:
    notes = chart.notes(values)
    service = "spring-undertone-envoy" if "curl" in third else "spring-undertone-inference"
    assert f" 1. kubectl --namespace reading port-forward service/{service} 50051:50051\n" in notes
    assert f" 2. {second} {PARAGRAPH} localhost:50051 undertone.v1.Classifier/Classify\n" in notes
    # Without Envoy, there is no JSON, and `undertone classify` always verifies certificates.
    assert f" 3. {third}\n" in notes if third else " 3. " not in notes
    assert ("in the folder of a checkout" in notes) == ("-protoset" in second)
    assert "helm test spring --namespace reading" in notes
    assert "helm upgrade spring oci://ghcr.io/undertone/charts/undertone --namespace reading" in notes
