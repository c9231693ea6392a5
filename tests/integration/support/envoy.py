"""Envoy with the chart's configuration, arguments and preStop hook, on ports of this machine."""

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

from tests.integration.support.processes import ENVIRONMENT, TIMEOUT_SECONDS, Launcher, Process, command

QUICK: Final[Mapping[str, Any]] = {
    "healthCheck": {"intervalSeconds": 0.2, "timeoutSeconds": 2},
    "outlierDetection": {"intervalSeconds": 0.2, "ejectionSeconds": 0.5},
    "drain": {"leaveSeconds": 1},
}
"""Chart values that shorten the tests, or allow for a slow machine."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def request(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
    """Sends one HTTP/1.1 request to a port of this machine.

    Header names have underscores for hyphens.
    """
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


class Envoy(Process):
    """Envoy for sidecars on some ports, in a folder that replaces the container's working
    directory.

    `values` are chart values below loadBalancer.envoy, `others` the other chart values. `mounts`
    are files by their path, written before the start. With `dns_port`, Envoy asks the DNS server on
    this port of this machine.
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
        dns_port: int | None = None,
        workers: int = 1,
    ) -> None:
        ports = EnvoyPorts.free()
        self.api, self.metrics, self.admin = ports.api, ports.metrics, ports.admin
        self.target = f"{LOOPBACK}:{self.api}"
        deployment = EnvoyDeployment.render(
            chart, sidecars, ports, envoy_values={**QUICK, **values}, chart_values=others, dns_port=dns_port, workers=workers
        )
        self._folder = folder
        self._generation = itertools.count(1)
        self.remount(deployment.files)
        self.remount(mounts)
        self._pre_stop = deployment.pre_stop
        super().__init__(*(command(part) if part == "envoy" else part for part in deployment.command), log=log)

    def start(self) -> None:
        with self._log.open("ab") as output:
            self._popen = subprocess.Popen(self._command, stdout=output, stderr=output, env=ENVIRONMENT, cwd=self._folder)

    def remount(self, files: Mapping[str, bytes]) -> None:
        """Updates volumes as the kubelet does: writes a new folder and swaps the symbolic link.

        Names are mount and file, such as "tls/tls.crt".
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
        """Runs the preStop hook, as the kubelet does before SIGTERM."""
        subprocess.run(self._pre_stop, check=True, capture_output=True, cwd=self._folder, timeout=TIMEOUT_SECONDS)

    def ready(self) -> bool:
        """Whether the readiness probe succeeds."""
        try:
            return request(self.metrics, "GET", "/ready").status == 200
        except OSError:
            return False

    def until_ready(self) -> Self:
        self.until(self.ready, "Envoy is ready")
        return self

    def statistic(self, name: str) -> int:
        """Value of a counter or gauge, by its full name."""
        (line,) = request(self.admin, "GET", f"/stats?filter=^{name}$").body.decode().splitlines()
        return int(line.rpartition(" ")[2])

    def ejections(self) -> int:
        """The number of sidecars that outlier detection has ejected so far."""
        return self.statistic("cluster.sidecars.outlier_detection.ejections_enforced_total")

    def healthy(self) -> bool:
        """Whether the startup probe succeeds."""
        return request(self.metrics, "GET", "/healthy").status == 200

    def used(self) -> set[int]:
        """The ports of the sidecars that calls are sent to at the moment."""
        return healthy_sidecars(self.admin)

    def until_used(self, ports: Iterable[int]) -> None:
        """Waits until calls are sent to exactly these sidecars."""
        wanted = set(ports)
        self.until(lambda: self.used() == wanted, f"calls go to exactly the sidecars on {sorted(wanted)}")

    def access_log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]


class EnvoyLauncher(Launcher):
    """Also starts Envoys of a chart, each in its own folder."""

    def __init__(self, chart: Chart) -> None:
        super().__init__()
        self._chart = chart

    def envoy(
        self,
        sidecars: Iterable[int],
        *,
        mounts: Mapping[str, bytes] | None = None,
        others: Mapping[str, Any] | None = None,
        dns_port: int | None = None,
        workers: int = 1,
        **values: Any,
    ) -> Envoy:
        """A ready Envoy, which may not have checked the health of the sidecars yet.

        Values as in Envoy.
        """
        log = self._log("envoy")
        envoy = Envoy(
            self._chart,
            sidecars,
            log.with_suffix(".d"),
            log,
            values=values,
            others=others or {},
            mounts=mounts or {},
            dns_port=dns_port,
            workers=workers,
        )
        return self._watched(envoy).until_ready()
