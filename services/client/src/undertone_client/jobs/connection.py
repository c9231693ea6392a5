"""The options that every command with a connection has, and the settings made of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from undertone_client.errors import SettingsError
from undertone_client.settings import DEFAULT_TARGET, Settings, Tls
from undertone_telemetry.options import option_group

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True)
class Connection:
    """The values of the options.

    Raises:
        SettingsError: they do not go together.
    """

    target: str
    timeout: float
    tls: bool
    ca_file: Path | None
    cert: Path | None
    key: Path | None

    def __post_init__(self) -> None:
        if not self.tls and (self.ca_file or self.cert or self.key):
            raise SettingsError("--ca-file, --cert and --key say how to speak TLS; add --tls")

    def settings(self, **others: Any) -> Settings:
        """Settings of a client with this connection; `others` are further fields of `Settings`.

        Raises:
            SettingsError: the settings do not go together.
        """
        tls = Tls(self.ca_file, self.cert, self.key) if self.tls else None
        return Settings(timeout_seconds=self.timeout, tls=tls, **others)


connection_options = option_group(
    "connection",
    Connection,
    click.option(
        "--target", envvar="UNDERTONE_TARGET", default=DEFAULT_TARGET, show_default=True, help="Address of the service."
    ),
    click.option(
        "--timeout",
        envvar="UNDERTONE_TIMEOUT",
        type=click.FloatRange(min=0, min_open=True),
        default=Settings().timeout_seconds,
        show_default=True,
        metavar="SECONDS",
        help="Deadline of one attempt of a call.",
    ),
    click.option("--tls", envvar="UNDERTONE_TLS", is_flag=True, help="Speak TLS; the system's roots are trusted."),
    click.option("--ca-file", envvar="UNDERTONE_CA_FILE", type=FILE, help="Trust these roots instead (PEM; with --tls)."),
    click.option("--cert", envvar="UNDERTONE_CERT", type=FILE, help="Own certificate (PEM; with --tls and --key)."),
    click.option("--key", envvar="UNDERTONE_KEY", type=FILE, help="Own key (PEM; with --tls and --cert)."),
)
"""Adds `connection` to a command's arguments."""
