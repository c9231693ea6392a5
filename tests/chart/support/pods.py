"""Access to the pods of rendered objects."""

from collections.abc import Iterator, Mapping
from typing import Any

from undertone_bench.chart import Chart, Manifest


def pod_template(manifest: Manifest) -> Manifest:
    """Metadata and spec of the pods that an object creates. A Pod is its own template."""
    if manifest["kind"] == "Pod":
        return manifest
    spec = manifest["spec"]
    template: Manifest = (spec["jobTemplate"]["spec"] if manifest["kind"] == "CronJob" else spec)["template"]
    return template


def pod_spec(manifest: Manifest) -> Manifest:
    """The spec of the pods that an object creates."""
    spec: Manifest = pod_template(manifest)["spec"]
    return spec


def inference_pod(chart: Chart, values: Mapping[str, Any] | None = None, files: tuple[str, ...] = ()) -> Manifest:
    """The spec of the inference pods."""
    return pod_spec(chart.render(values, files=files).one("Deployment", "-inference"))


def containers(spec: Manifest) -> Iterator[Manifest]:
    """The init containers and the containers of a pod."""
    yield from spec.get("initContainers", ())
    yield from spec["containers"]


def find_container(spec: Manifest, name: str) -> Manifest:
    """The container or init container of this name."""
    (found,) = [one for one in containers(spec) if one["name"] == name]
    return found
