"""A node of Kubernetes for the executors of Spark: runs each pod's container as a local process."""

import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from undertone_bench.chart import Manifest

from tests.chart.support.api_server import ApiError, ApiServer

ADDRESS: Final = "127.0.0.1"
"""The address of all pods."""
POLL_SECONDS: Final = 0.1
_MERGE: Final = "application/merge-patch+json"


def environment(pod: Manifest) -> dict[str, str]:
    """The variables of a pod's only container, with references to other variables replaced."""
    fields = {
        "metadata.name": pod["metadata"]["name"],
        "metadata.uid": pod["metadata"].get("uid", ""),
        "status.podIP": ADDRESS,
        "status.hostIP": ADDRESS,
    }
    (container,) = pod["spec"]["containers"]
    variables: dict[str, str] = {}
    for variable in container.get("env", ()):
        value = variable.get("value", "")
        if "valueFrom" in variable:
            value = fields[variable["valueFrom"]["fieldRef"]["fieldPath"]]
        for name, known in variables.items():
            value = value.replace(f"$({name})", known)
        variables[variable["name"]] = value
    return variables


class Kubelet:
    """Runs the executors of a namespace with the entrypoint of the image, until `stop`.

    Attributes:
        seen: The pods that it has run, as the API server stored them.
    """

    def __init__(self, api: ApiServer, namespace: str, entrypoint: Path, image: Mapping[str, str], folder: Path) -> None:
        """`image` has the environment variables of the image."""
        self.seen: dict[str, Manifest] = {}
        self._api = api
        self._pods = f"api/v1/namespaces/{namespace}/pods"
        self._namespace = namespace
        self._entrypoint = entrypoint
        self._image = image
        self._folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(POLL_SECONDS):
            for pod in self._api.pods(self._namespace):
                if pod["metadata"]["labels"].get("spark-role") == "executor":
                    self._update(pod)

    def stop(self) -> None:
        self._stopped.set()
        for process in self._processes.values():
            process.kill()
            process.wait(timeout=60)

    def _update(self, pod: Manifest) -> None:
        name = pod["metadata"]["name"]
        if "deletionTimestamp" in pod["metadata"]:
            if (process := self._processes.get(name)) is not None:
                process.kill()
                process.wait(timeout=60)
            self._delete(name)
        elif name not in self._processes:
            self._start(pod)
        elif (code := self._processes[name].poll()) is not None:
            ended = {"terminated": {"exitCode": code, "reason": "Completed" if code == 0 else "Error"}}
            self._set_status(pod, "Succeeded" if code == 0 else "Failed", ended)

    def _start(self, pod: Manifest) -> None:
        name = pod["metadata"]["name"]
        self.seen[name] = pod
        (container,) = pod["spec"]["containers"]
        variables = {**self._image, **environment(pod)}
        with (self._folder / f"{name}.log").open("wb") as log:
            self._processes[name] = subprocess.Popen(
                [self._entrypoint, *container["args"]], env=variables, cwd=self._folder, stdout=log, stderr=log
            )
        self._set_status(pod, "Running", {"running": {}})

    def _set_status(self, pod: Manifest, phase: str, state: Mapping[str, Any]) -> None:
        (container,) = pod["spec"]["containers"]
        running = phase == "Running"
        status = {
            "name": container["name"],
            "ready": running,
            "restartCount": 0,
            "image": container["image"],
            "imageID": "",
            "state": state,
        }
        body = {"status": {"phase": phase, "podIP": ADDRESS, "podIPs": [{"ip": ADDRESS}], "containerStatuses": [status]}}
        try:
            self._api.call("PATCH", f"{self._pods}/{pod['metadata']['name']}/status", body, kind=_MERGE)
        except ApiError as error:
            if error.code != 404:  # deleted meanwhile
                raise

    def _delete(self, name: str) -> None:
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0}
        try:
            self._api.call("DELETE", f"{self._pods}/{name}", body)
        except ApiError as error:
            if error.code != 404:
                raise


@contextmanager
def running_kubelet(
    api: ApiServer, namespace: str, entrypoint: Path, image: Mapping[str, str], folder: Path
) -> Iterator[Kubelet]:
    kubelet = Kubelet(api, namespace, entrypoint, {"PATH": os.environ["PATH"], **image}, folder)
    thread = threading.Thread(target=kubelet.run)
    thread.start()
    try:
        yield kubelet
    finally:
        kubelet.stop()
        thread.join(timeout=60)
