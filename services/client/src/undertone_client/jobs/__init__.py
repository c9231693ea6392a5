"""Shared parts of commands that run a job. Needs the extra `undertone-client[jobs]`.

The columns of a scores table are in `undertone_client.jobs.score_columns`, which imports pyarrow.
The catalogue of an Iceberg table is in `undertone_client.jobs.catalog`.
"""

from undertone_client.jobs.errors import InputError, OutputError, Terminated
from undertone_client.jobs.exits import EXIT_CODES, CommandError, ExitCode, command_error, explain_errors
from undertone_client.jobs.finish_by import finish_by_option
from undertone_client.jobs.first_contact import wait_for_service
from undertone_client.jobs.options import (
    ConnectionOptions,
    RetryOptions,
    channel_options,
    connection_options,
    job_option,
    patience_options,
    policy_option,
    retry_options,
)
from undertone_client.jobs.session import JobSession, job_session

__all__ = [
    "EXIT_CODES",
    "CommandError",
    "ConnectionOptions",
    "ExitCode",
    "InputError",
    "JobSession",
    "OutputError",
    "RetryOptions",
    "Terminated",
    "channel_options",
    "command_error",
    "connection_options",
    "explain_errors",
    "finish_by_option",
    "job_option",
    "job_session",
    "patience_options",
    "policy_option",
    "retry_options",
    "wait_for_service",
]
