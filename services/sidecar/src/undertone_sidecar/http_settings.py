"""The settings of the JSON API over HTTP."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from undertone_telemetry.options import PortOrOff

from undertone_sidecar.options import boolean_option, option

_HOST_NAME: Final = re.compile(r"[A-Za-z0-9_.-]+")


# Without slots: a class with two bases that both have slots is impossible.
@dataclass(frozen=True, kw_only=True)
class HttpSettings:
    """The port of HTTP, what it serves, and the names of hosts that it accepts."""

    http_port: int | None = field(
        default=None,
        metadata=option(
            "Port of the JSON API over HTTP, or off. 0 picks a free port and logs it.", PortOrOff(), show_default="off"
        ),
    )
    playground: bool = field(
        default=True,
        metadata=boolean_option("Serve the playground at / of --http-port: a page for browsers that scores a text."),
    )
    http_hosts: str = field(
        default="",
        metadata=option(
            "Names in the header Host that --http-port accepts, separated by commas, in addition to --host, localhost and IP "
            "addresses. Requests with another name are refused with 403, against DNS rebinding. * = accept all.",
            metavar="NAME,…",
            show_default="accept all, unless --host is localhost or a loopback address",
        ),
    )

    @property
    def http_host_names(self) -> tuple[str, ...]:
        """The names in `http_hosts`."""
        return tuple(name for part in self.http_hosts.split(",") if (name := part.strip()))

    def http_problems(self) -> Iterator[str]:
        """What is wrong with these settings."""
        if self.http_hosts and not self.http_host_names:
            yield f"--http-hosts {self.http_hosts!r} has no name: name hosts, such as score.example, or omit it"
        if strange := [name for name in self.http_host_names if name != "*" and not _HOST_NAME.fullmatch(name)]:
            yield f"--http-hosts has {strange[0]!r}: use names of hosts without scheme, port and wildcards, or * for all"
        if self.http_hosts and self.http_port is None:
            yield f"--http-hosts is {self.http_hosts!r}, but --http-port is off: set --http-port, or omit --http-hosts"
