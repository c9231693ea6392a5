"""The model: its sources, the pinned version, and the check of its files."""

import subprocess
from pathlib import Path

import pytest
from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelConfig, ModelServerConfig
from undertone_bench.chart import Chart, HelmError, Manifest

from tests.chart.support.combinations import COMBINATIONS
from tests.chart.support.pods import find_container, inference_pod


def pod(chart: Chart, combination: str) -> Manifest:
    return inference_pod(chart, COMBINATIONS[combination])


def volume(spec: Manifest, name: str) -> Manifest:
    (found,) = [volume for volume in spec["volumes"] if volume["name"] == name]
    return dict(found)


def model_config(chart: Chart, combination: str) -> ModelConfig:
    """The only model of TF Serving's configuration file."""
    text = chart.render(COMBINATIONS[combination]).one("ConfigMap", "-inference")["data"]["models.config"]
    (config,) = text_format.Parse(text, ModelServerConfig()).model_config_list.config
    return config


@pytest.mark.parametrize(
    ("combination", "root", "kind"),
    [
        ("defaults", "/models", "emptyDir"),
        ("bucket", "/models", "emptyDir"),
        ("claim", "/models/undertone", "persistentVolumeClaim"),
        ("image volume", "/image/models", "image"),
    ],
)
def test_all_containers_use_the_directory_of_the_model(chart: Chart, combination: str, root: str, kind: str) -> None:
    spec = pod(chart, combination)
    assert kind in volume(spec, "model")
    assert model_config(chart, combination).base_path == f"{root}/emotions"
    sidecar = find_container(spec, "sidecar")
    assert f"--model-dir={root}/emotions" in sidecar["args"]
    assert find_container(spec, "check-model")["args"][0] == root
    for name in ("sidecar", "model-server", "check-model"):
        (mount,) = [mount for mount in find_container(spec, name)["volumeMounts"] if mount["name"] == "model"]
        assert mount["readOnly"] is True
        assert root.startswith(mount["mountPath"])


def test_image_volumes_require_a_new_kubernetes(chart: Chart) -> None:
    with pytest.raises(HelmError, match=r"imageVolume, which Kubernetes v1.32.0 does not support"):
        chart.render(COMBINATIONS["image volume"], kubernetes="1.32.0")


def test_version_is_pinned(chart: Chart) -> None:
    """Helm parses numbers as floats: the version must not be written as 2.0261121e+07."""
    config = model_config(chart, "image volume")
    assert (config.name, config.model_platform) == ("emotions", "tensorflow")
    assert list(config.model_version_policy.specific.versions) == [20261121]
    checking = find_container(pod(chart, "image volume"), "check-model")
    assert checking["args"] == ["/image/models", "emotions", "20261121", "auto"]


def test_mount_does_not_hide_the_model_in_the_image(chart: Chart) -> None:
    copying = find_container(pod(chart, "defaults"), "copy-model")
    source, target = copying["args"]
    assert source == "/models/emotions/1"
    (mount,) = copying["volumeMounts"]
    assert target.startswith(mount["mountPath"])
    assert not source.startswith(mount["mountPath"])


def test_copy_command_copies_the_version(chart: Chart, tmp_path: Path) -> None:
    copying = find_container(pod(chart, "defaults"), "copy-model")
    (tmp_path / "image/emotions/1/variables").mkdir(parents=True)
    (tmp_path / "image/emotions/1/saved_model.pb").write_text("graph")
    subprocess.run([*copying["command"], tmp_path / "image/emotions/1", f"{tmp_path}/copy/emotions/"], check=True)
    copied = sorted(str(path.relative_to(tmp_path / "copy")) for path in (tmp_path / "copy").rglob("*"))
    assert copied == ["emotions", "emotions/1", "emotions/1/saved_model.pb", "emotions/1/variables"]


def test_rclone_copies_from_a_bucket(chart: Chart) -> None:
    copying = find_container(pod(chart, "bucket"), "copy-model")
    assert copying["command"][:2] == ["rclone", "copy"]
    assert copying["args"][-2:] == [":s3:models/undertone/emotions/1", "/models/emotions/1"]
    assert "--s3-env-auth=true" in copying["args"]
