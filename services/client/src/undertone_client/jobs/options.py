"""Command-line options that several commands share, and the client settings that they set."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from undertone_telemetry.options import Decorator, IntegerRange, NumberRange, option_group

from undertone_client.credentials import Credentials
from undertone_client.errors import SettingsError
from undertone_client.resilience import BreakerSettings, LimitSettings, RetryPolicy
from undertone_client.settings import DEFAULT_TARGET, Settings, Tls
from undertone_client.values import Policy


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """Values of the options that say which service to call and how to connect to it.

    Raises:
        SettingsError: TLS files are given without --tls, or two kinds of credentials.
    """

    target: str
    timeout: float
    tls: bool
    ca_file: Path | None
    cert: Path | None
    key: Path | None
    api_key_file: Path | None
    token_file: Path | None

    def __post_init__(self) -> None:
        if not self.tls and (self.ca_file or self.cert or self.key):
            raise SettingsError("--ca-file, --cert and --key need TLS: add --tls.")
        if self.api_key_file and self.token_file:
            raise SettingsError("--api-key-file and --token-file exclude each other: give one of them.")

    def settings(self, **fields: Any) -> Settings:
        """Client settings with this connection; `fields` are further fields of `Settings`.

        Raises:
            SettingsError: the settings contradict each other.
        """
        tls = Tls(self.ca_file, self.cert, self.key) if self.tls else None
        has_credentials = self.api_key_file or self.token_file
        credentials = Credentials(self.api_key_file, self.token_file) if has_credentials else None
        return Settings(timeout_seconds=self.timeout, tls=tls, credentials=credentials, **fields)


def _file_option(flag: str, text: str) -> Decorator[Any]:
    variable = f"UNDERTONE_{flag.removeprefix('--').replace('-', '_').upper()}"
    return click.option(
        flag, envvar=variable, show_envvar=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), help=text
    )


channel_options: tuple[Decorator[Any], ...] = (
    click.option(
        "--timeout",
        envvar="UNDERTONE_TIMEOUT",
        show_envvar=True,
        type=NumberRange(min=0, min_open=True),
        default=Settings().timeout_seconds,
        show_default=True,
        metavar="SECONDS",
        help="Deadline of each attempt of a call.",
    ),
    click.option(
        "--tls",
        envvar="UNDERTONE_TLS",
        show_envvar=True,
        is_flag=True,
        help="Use TLS and trust the system's root certificates.",
    ),
    _file_option("--ca-file", "Root certificates to trust instead (PEM; needs --tls)."),
    _file_option("--cert", "Client certificate (PEM; needs --tls and --key)."),
    _file_option("--key", "Private key of --cert (PEM; needs --tls and --cert)."),
    _file_option(
        "--api-key-file", "File whose first line is an API key, sent in the metadata x-api-key. Use --tls outside a cluster."
    ),
    _file_option(
        "--token-file",
        "File whose first line is a JSON Web Token, sent in the metadata authorization. It is read again when it changes. Not "
        "with --api-key-file.",
    ),
)
"""The options of `ConnectionOptions` without the target."""

connection_options = option_group(
    "connection",
    ConnectionOptions,
    click.option(
        "--target",
        envvar="UNDERTONE_TARGET",
        show_envvar=True,
        default=DEFAULT_TARGET,
        show_default=True,
        help="Address of the service.",
    ),
    *channel_options,
)
"""Adds the argument `connection` to a command."""


@dataclass(frozen=True, slots=True)
class RetryOptions:
    """Values of the options that set the concurrency of a job and how long it retries."""

    limit: LimitSettings
    attempts: int
    patience: float

    def settings(self) -> dict[str, Any]:
        """The fields of `Settings` that these options set."""
        return {
            "limit": self.limit,
            "retry": RetryPolicy(attempts=self.attempts),
            "breaker": BreakerSettings(patience_seconds=self.patience),
        }


def _limit(context: click.Context, option: click.Parameter, value: str) -> LimitSettings:
    try:
        return LimitSettings.parse(value)
    except SettingsError:
        raise click.UsageError(f"--limit {value!r} is invalid: use adaptive, aimd or a number.") from None


patience_options: tuple[Decorator[Any], ...] = (
    click.option(
        "--attempts",
        envvar="UNDERTONE_ATTEMPTS",
        show_envvar=True,
        type=IntegerRange(min=1),
        default=RetryPolicy().attempts,
        show_default=True,
        help="Maximum number of attempts of a call. Attempts while the service is down or overloaded do not count.",
    ),
    click.option(
        "--patience",
        envvar="UNDERTONE_PATIENCE",
        show_envvar=True,
        type=NumberRange(min=0),
        default=BreakerSettings().patience_seconds,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait for a service that has not started, is down or is overloaded.",
    ),
)
"""The options of `RetryOptions` without the limit."""

retry_options = option_group(
    "retry",
    RetryOptions,
    click.option(
        "--limit",
        envvar="UNDERTONE_LIMIT",
        show_envvar=True,
        callback=_limit,
        default="adaptive",
        show_default=True,
        metavar="adaptive|aimd|N",
        help="Maximum number of concurrent calls of the process (in Spark: of each Python worker). adaptive follows latency "
        "and overload, aimd follows overload only, N is fixed.",
    ),
    *patience_options,
)
"""Adds the argument `retry` to a command."""


def _policy(context: click.Context, option: click.Parameter, value: str) -> Policy:
    return Policy(value)


policy_option = click.option(
    "--policy",
    envvar="UNDERTONE_POLICY",
    show_envvar=True,
    type=click.Choice([policy.value for policy in Policy]),
    callback=_policy,
    default=Policy.CHUNK_MEAN.value,
    show_default=True,
    help="How to score a paragraph that exceeds the model's maximum sequence length: truncate cuts it, chunk-mean takes "
    "the mean of its chunks, chunk-max finds an emotional passage in it, reject fails it.",
)
"""Adds the argument `policy`, a `Policy`, to a command."""


def job_option(default: str | None) -> Decorator[Any]:
    """Adds the argument `job` to a command. A command without default uses its mode."""
    return click.option(
        "--job",
        envvar="UNDERTONE_JOB",
        show_envvar=True,
        metavar="NAME",
        default=default,
        show_default=bool(default) or "the mode",
        help="Job name: a label of the job's metrics, and the grouping key in the Pushgateway.",
    )
