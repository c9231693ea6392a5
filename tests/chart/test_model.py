"""Where the model comes from, that one version is served, and that a wrong one is refused."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from undertone_bench.chart import Chart, HelmError, Manifest

from tests.chart.support.combinations import COMBINATIONS
from tests.chart.support.paths import CHART


def pod(chart: Chart, combination: str) -> Manifest:
    spec: Manifest = chart.render(COMBINATIONS[combination]).one("Deployment", "-inference")["spec"]["template"]["spec"]
    return spec


def init(spec: Manifest, name: str) -> Manifest:
    (found,) = [container for container in spec["initContainers"] if container["name"] == name]
    return dict(found)


def volume(spec: Manifest, name: str) -> Manifest:
    (found,) = [volume for volume in spec["volumes"] if volume["name"] == name]
    return dict(found)


def models_config(chart: Chart, combination: str) -> str:
    return str(chart.render(COMBINATIONS[combination]).one("ConfigMap", "-inference")["data"]["models.config"])


@pytest.mark.parametrize(
    ("combination", "root", "kind"),
    [
        ("defaults", "/models", "emptyDir"),
        ("bucket", "/models", "emptyDir"),
        ("claim", "/models/undertone", "persistentVolumeClaim"),
        ("image volume", "/image/models", "image"),
    ],
)
def test_every_container_looks_where_the_model_is(chart: Chart, combination: str, root: str, kind: str) -> None:
    spec = pod(chart, combination)
    assert kind in volume(spec, "model")
    assert f'base_path: "{root}/emotions"' in models_config(chart, combination)
    (sidecar,) = spec["containers"]
    assert f"--model-dir={root}/emotions" in sidecar["args"]
    assert init(spec, "check-model")["args"][0] == root
    for container in (sidecar, init(spec, "model-server"), init(spec, "check-model")):
        (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == "model"]
        assert mount["readOnly"] is True
        assert root.startswith(mount["mountPath"])


def test_image_volumes_need_a_kubernetes_that_has_them(chart: Chart) -> None:
    with pytest.raises(HelmError, match=r"imageVolume, which Kubernetes v1.32.0 does not have"):
        chart.render(COMBINATIONS["image volume"], kubernetes="1.32.0")


def test_the_version_is_pinned_whole(chart: Chart) -> None:
    """Helm reads numbers as floats; a date as a version must not become 2.0261121e+07."""
    assert "specific { versions: 20261121 }" in models_config(chart, "image volume")
    assert init(pod(chart, "image volume"), "check-model")["args"] == ["/image/models", "emotions", "20261121", "auto"]


def test_an_image_is_copied_around_the_mount(chart: Chart) -> None:
    copying = init(pod(chart, "defaults"), "copy-model")
    source, target = copying["args"]
    assert source == "/models/emotions/1"
    (mount,) = copying["volumeMounts"]
    assert target.startswith(mount["mountPath"])
    assert not source.startswith(mount["mountPath"])


def test_the_copying_command_copies(chart: Chart, tmp_path: Path) -> None:
    copying = init(pod(chart, "defaults"), "copy-model")
    (tmp_path / "image/emotions/1/variables").mkdir(parents=True)
    (tmp_path / "image/emotions/1/saved_model.pb").write_text("graph")
    subprocess.run([*copying["command"], tmp_path / "image/emotions/1", f"{tmp_path}/copy/emotions/"], check=True)
    copied = sorted(str(path.relative_to(tmp_path / "copy")) for path in (tmp_path / "copy").rglob("*"))
    assert copied == ["emotions", "emotions/1", "emotions/1/saved_model.pb", "emotions/1/variables"]


def test_a_bucket_is_copied_by_rclone(chart: Chart) -> None:
    copying = init(pod(chart, "bucket"), "copy-model")
    assert copying["command"][:2] == ["rclone", "copy"]
    assert copying["args"][-2:] == [":s3:models/undertone/emotions/1", "/models/emotions/1"]
    assert "--s3-env-auth=true" in copying["args"]


@pytest.mark.parametrize(
    ("values", "remedy"),
    [
        ({"model": {"source": "claim"}}, "model.claim.name is empty"),
        ({"model": {"source": "objectStore"}, "networkPolicy": {"enabled": False}}, "model.url is empty"),
        ({"model": {"source": "objectStore", "url": "s3://models"}}, "networkPolicy.objectStore is empty"),
    ],
)
def test_what_is_missing_is_said(chart: Chart, values: Manifest, remedy: str) -> None:
    with pytest.raises(HelmError, match=remedy):
        chart.render(values)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with version 3 of emotions, computing in bf16."""
    folder = tmp_path / "emotions/3"
    folder.mkdir(parents=True)
    for name in ("saved_model.pb", "tokenizer.json"):
        (folder / name).write_text("")
    (folder / "contract.json").write_text(json.dumps({"name": "emotions", "version": "3", "precision": "bf16"}))
    return tmp_path


def check(
    models: Path, version: int = 3, precision: str = "auto", name: str = "emotions"
) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(CHART / "files/check_model.py"), str(models), name, str(version), precision]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("precision", ["auto", "bf16"])
def test_the_right_model_is_let_through(models: Path, precision: str) -> None:
    checked = check(models, precision=precision)
    assert (checked.returncode, checked.stdout) == (0, "emotions 3, bf16\n")


def test_another_version_is_refused_with_those_there_are(models: Path) -> None:
    checked = check(models, version=4)
    assert checked.returncode == 1
    assert "emotions/4" in checked.stderr
    assert "choose one of: emotions 3" in checked.stderr


def test_another_precision_is_refused(models: Path) -> None:
    checked = check(models, precision="fp32")
    assert checked.returncode == 1
    assert "computes in bf16, but model.precision is fp32" in checked.stderr


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "saved_model.pb").unlink(), "has no saved_model.pb"),
        (lambda folder: (folder / "contract.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "contract.json").write_text("[]"), "cannot be read"),
        (lambda folder: folder.rename(folder.with_name("5")), "holds emotions 3 by its contract"),
    ],
    ids=["incomplete", "not JSON", "no contract", "renamed"],
)
def test_a_broken_export_is_refused(models: Path, damage: object, message: str) -> None:
    assert callable(damage)
    damage(models / "emotions/3")
    checked = check(models, version=5 if "by its contract" in message else 3)
    assert checked.returncode == 1
    assert message in checked.stderr
    assert "Traceback" not in checked.stderr


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    assert "choose one of: nothing" in check(tmp_path).stderr
