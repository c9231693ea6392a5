"""The Redis of the answer cache: flags, Secrets, network, and values that do not fit together."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme
from undertone_bench.chart import Chart, HelmError
from undertone_sidecar.testing import read_settings

from tests.chart.support.pods import find_container, inference_pod

EGRESS = {"to": [{"podSelector": {"matchLabels": {"app": "redis"}}}], "ports": [{"port": 6379, "protocol": "TCP"}]}
SECRETS: Mapping[str, Any] = {
    "passwordSecretName": "redis",
    "passwordKey": "1",
    "caSecretName": "redis-ca",
    "clientSecretName": "redis-tls",
}


def values(policy: Mapping[str, Any] | None = None, **redis: Any) -> Mapping[str, Any]:
    return {"sidecar": {"redis": redis}, "networkPolicy": {"redis": [EGRESS]} if policy is None else policy}


def test_the_sidecars_get_the_url_the_secrets_and_the_way_to_redis(chart: Chart, tmp_path: Path) -> None:
    chosen = values(url="rediss://sidecar@redis.cache:6380/2", **SECRETS, ttlSeconds=1000000, timeoutSeconds=0.003)
    pod = inference_pod(chart, chosen)
    container = find_container(pod, "sidecar")
    arguments = [argument for argument in container["args"] if argument.startswith("--cache")]
    options = dict(argument.removeprefix("--").split("=") for argument in arguments)
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume.get("secret") for volume in pod["volumes"]}
    secrets = {"redis": "redis", "redis-ca": "redis-ca", "redis-client": "redis-tls"}
    files = set()
    for name, secret in secrets.items():
        assert volumes[name]["secretName"] == secret
        assert mounts[name]["readOnly"]
        files |= {f"{mounts[name]['mountPath']}/{item['path']}" for item in volumes[name]["items"]}
    assert volumes["redis"]["items"] == [{"key": "1", "path": "password"}]
    named = {name for name in options if name.rsplit("-", 1)[1] in ("file", "ca", "cert", "key")}
    assert {options[name] for name in named} == files
    authority = trustme.CA()
    certificate = authority.issue_cert("sidecar")
    authority.cert_pem.write_to_path(str(tmp_path / "cache-redis-ca"))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "cache-redis-cert"))
    certificate.private_key_pem.write_to_path(str(tmp_path / "cache-redis-key"))
    (tmp_path / "cache-redis-password-file").write_text("secret")
    options |= {name: str(tmp_path / name) for name in named}
    settings = read_settings(f"--model-dir={tmp_path}", *(f"--{name}={value}" for name, value in options.items()))
    assert settings.cache_redis == "rediss://sidecar@redis.cache:6380/2"
    assert (settings.cache_redis_ttl_seconds, settings.cache_redis_timeout_seconds) == (1_000_000, 0.003)
    assert EGRESS in chart.render(chosen).one("NetworkPolicy", "-inference")["spec"]["egress"]


def test_there_is_no_redis_by_default(chart: Chart) -> None:
    assert "redis" not in str(inference_pod(chart))


@pytest.mark.parametrize(
    ("rejected", "message"),
    [
        (
            values(policy={}, url="redis://redis"),
            "networkPolicy.redis is empty, so the inference pods cannot reach sidecar.redis.url",
        ),
        (values(passwordSecretName="redis"), "sidecar.redis.url is empty, so the Secrets of sidecar.redis have no effect"),
        (values(url="redis://redis", caSecretName="ca"), "need TLS: use rediss://"),
        (values(url="redis://user@redis"), "with a user but without a password: set sidecar.redis.passwordSecretName"),
        (values(url="redis://user:word@redis"), "/sidecar/redis/url'"),
        (values(url="redis:6379"), "/sidecar/redis/url'"),
        ({"sidecar": {"settings": {"cache-bytes": 1}}}, "sidecar.settings.cache-bytes is 1: use at least 1048576"),
    ],
)
def test_values_that_do_not_fit_are_refused_with_the_remedy(chart: Chart, rejected: Mapping[str, Any], message: str) -> None:
    with pytest.raises(HelmError) as error:
        chart.render(rejected)
    assert message in str(error.value)
