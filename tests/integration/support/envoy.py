"""Envoy as the chart runs it: its own configuration, arguments and hook; values name this machine's addresses and ports."""

import http.client
import itertools
import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from undertone_bench.chart import Chart
from undertone_bench.envoy import LOOPBACK, EnvoyDeployment, EnvoyPorts, healthy_sidecars

from tests.integration.support.processes import ENVIRONMENT, PATIENCE_SECONDS, Launcher, Process

QUICK: Final[Mapping[str, Any]] = {
    "healthCheck": {"intervalSeconds": 0.2, "timeoutSeconds": 2},
    "outlierDetection": {"intervalSeconds": 0.2, "ejectionSeconds": 0.5},
    "drain": {"leaveSeconds": 1},
}
"""Values that differ from the chart's only for the sake of the tests' time, or of a machine that is slow to answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def request(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
    """One HTTP/1.1 request to a port of this machine; the names of headers are written with underscores."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=PATIENCE_SECONDS)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


class Envoy(Process):
    """Envoy over the sidecars at some ports, in a folder that stands for the container's working directory.

    `values` are those of the chart below loadBalancer.envoy, `others` the rest. `mounts` are files to put there beforehand, by
    their path.
    """

    def __init__(
        self,
        chart: Chart,
        sidecars: Iterable[int],
        folder: Path,
        log: Path,
        *,
        values: Mapping[str, Any],
        others: Mapping[str, Any],
        mounts: Mapping[str, bytes],
    ) -> None:
        ports = EnvoyPorts.free()
        self.api, self.metrics, self.admin = ports.api, ports.metrics, ports.admin
        self.target = f"{LOOPBACK}:{self.api}"
        deployment = EnvoyDeployment.render(chart, sidecars, ports, envoy_values={**QUICK, **values}, chart_values=others)
        self._folder = folder
        self._generation = itertools.count(1)
        self.remount(deployment.files)
        self.remount(mounts)
        self._pre_stop = deployment.pre_stop
        super().__init__(*deployment.command, log=log)

    def start(self) -> None:
        with self._log.open("ab") as output:
            self._popen = subprocess.Popen(self._command, stdout=output, stderr=output, env=ENVIRONMENT, cwd=self._folder)

    def remount(self, files: Mapping[str, bytes]) -> None:
        """Brings new contents into volumes as the kubelet does: aside, and then with all links exchanged at once.

        Names are those of the mount and of the file, such as "tls/tls.crt".
        """
        for mount, members in itertools.groupby(sorted(files), key=lambda name: name.partition("/")[0]):
            volume, fresh = self._folder / mount, f"..{next(self._generation)}"
            (volume / fresh).mkdir(parents=True)
            for name in members:
                file = name.partition("/")[2]
                (volume / fresh / file).write_bytes(files[name])
                if not (volume / file).is_symlink():
                    (volume / file).symlink_to(Path("..data", file))
            (volume / "..new").symlink_to(fresh)
            (volume / "..new").rename(volume / "..data")

    def pre_stop(self) -> None:
        """Runs the pod's hook to its end, as the kubelet does before SIGTERM."""
        subprocess.run(self._pre_stop, check=True, capture_output=True, cwd=self._folder, timeout=PATIENCE_SECONDS)

    def ready(self) -> bool:
        """What the readiness probe finds."""
        try:
            return request(self.metrics, "GET", "/ready").status == 200
        except OSError:
            return False

    def until_ready(self) -> Self:
        self.until(self.ready, "it is ready")
        return self

    def statistic(self, name: str) -> int:
        """A counter or gauge, by its full name."""
        (line,) = request(self.admin, "GET", f"/stats?filter=^{name}$").body.decode().splitlines()
        return int(line.rpartition(" ")[2])

    def used(self) -> set[int]:
        """The ports of the sidecars that calls are sent to at the moment."""
        return healthy_sidecars(self.admin)

    def until_used(self, ports: Iterable[int]) -> None:
        """Waits until calls are sent to these sidecars and no other."""
        wanted = set(ports)
        self.until(lambda: self.used() == wanted, f"just the sidecars on {sorted(wanted)} are used")

    def access_log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]


class FakeModelServer(Process):
    """A fake TF Serving with version 1 of a model, on a Unix socket."""

    def __init__(self, name: str, socket: Path, log: Path) -> None:
        self.target = f"unix:{socket}"
        super().__init__("python", "-m", "undertone_bench.fake_model_server", self.target, name, log=log)


class EnvoyLauncher(Launcher):
    """Starts Envoys of a chart, too, each in a folder of its own, and a fake model server."""

    def __init__(self, chart: Chart) -> None:
        super().__init__()
        self._chart = chart

    def fake_model_server(self, name: str) -> FakeModelServer:
        return self._watched(FakeModelServer(name, self._folder / "fake.sock", self._log("fake-model-server")))

    def envoy(
        self,
        sidecars: Iterable[int],
        *,
        mounts: Mapping[str, bytes] | None = None,
        others: Mapping[str, Any] | None = None,
        **values: Any,
    ) -> Envoy:
        """Ready, and not yet sure of the sidecars. `values` are those below loadBalancer.envoy, `others` the chart's others."""
        log = self._log("envoy")
        envoy = Envoy(
            self._chart, sidecars, log.with_suffix(".d"), log, values=values, others=others or {}, mounts=mounts or {}
        )
        return self._watched(envoy).until_ready()
