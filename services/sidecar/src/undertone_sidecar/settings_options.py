"""The settings as command-line options of `undertone-sidecar` and of its command `plan`."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, Final

import click
from undertone_telemetry.options import ENVIRONMENT_PREFIX, Decorator, field_option, option_group, telemetry_option

from undertone_sidecar.cpu import ThreadSettings
from undertone_sidecar.settings import Settings

CONTEXT_SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
"""Settings of click for both commands."""

_SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "Model and network": (
        "model_dir",
        "model_name",
        "model_server",
        "host",
        "port",
        "http_port",
        "playground",
        "http_hosts",
        "trust_caller_metadata",
    ),
    "TLS": ("tls_cert", "tls_key", "tls_client_ca", "health_port"),
    "Batching": ("batch_tokens", "model_server_memory", "chunk_overlap", "batch_lane_share"),
    "Answer cache": (
        "cache_bytes",
        "cache_redis",
        "cache_redis_password_file",
        "cache_redis_password",
        "cache_redis_ca",
        "cache_redis_cert",
        "cache_redis_key",
        "cache_redis_ttl_seconds",
        "cache_redis_timeout_seconds",
    ),
    "Threads": ("model_calls", "tokenizer_threads", "model_server_cpus", "threads_per_core", "model_server_threads", "auto"),
    "Limits": (
        "max_queue_tokens",
        "max_queue",
        "max_paragraph_bytes",
        "max_paragraph_characters",
        "max_paragraph_chunks",
        "max_batch_paragraphs",
        "max_batch_bytes",
        "max_message_bytes",
    ),
    "Timeouts and shutdown": (
        "predict_timeout_seconds",
        "deadline_margin_seconds",
        "poll_seconds",
        "drain_serving_seconds",
        "drain_delay_seconds",
        "grace_period_seconds",
    ),
    "Telemetry": ("metrics_port", "dogstatsd", "otlp_endpoint", "trace_sample", "log_format"),
}
"""Sections of the help, and their options."""


class SectionedCommand(click.Command):
    """A command whose help has the options of Settings in sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        records = {parameter.name: parameter.get_help_record(ctx) for parameter in self.get_params(ctx)}
        listed = {title: [records.pop(name) for name in names] for title, names in _SECTIONS.items()}
        for title, rows in (*listed.items(), ("Other", list(records.values()))):
            with formatter.section(title):
                formatter.write_dl([row for row in rows if row])


def thread_options() -> list[Decorator[Any]]:
    """The options of ThreadSettings."""
    return [field_option(ThreadSettings, setting.name) for setting in fields(ThreadSettings)]


def _refuse_removed(_: click.Context, option: click.Parameter, value: str | None) -> None:
    if value is not None:
        raise click.UsageError(
            f"{option.opts[0]} {value!r} (env var: {option.envvar!r}): the option was removed, because only the sidecar forms "
            "batches: remove the option and the variable"
        )


def removed_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds hidden options that refuse flags and environment variables of earlier versions."""
    return click.option(
        "--batching",
        envvar=f"{ENVIRONMENT_PREFIX}BATCHING",
        hidden=True,
        expose_value=False,
        is_eager=True,
        callback=_refuse_removed,
    )(command)


def settings_options() -> Decorator[Any]:
    """Adds `settings` to a command's arguments: a Settings."""
    own = [name for title, names in _SECTIONS.items() if title != "Telemetry" for name in names]
    return option_group(
        "settings",
        Settings,
        *(field_option(Settings, name) for name in own),
        *(telemetry_option(name, Settings) for name in _SECTIONS["Telemetry"]),
    )
