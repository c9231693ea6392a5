"""The seam between a DAG and the place where its Spark job runs."""

from collections.abc import Sequence
from typing import Any, Protocol

from airflow.sdk import BaseOperator


class Runner(Protocol):
    """Runs `undertone-batch` somewhere."""

    def operator(self, arguments: Sequence[str], **options: Any) -> BaseOperator:
        """A task that runs `undertone-batch ARGUMENTS...` and fails if its exit code is not 0.

        Args:
            arguments: Arguments with Jinja templates.
            options: Further arguments of the operator, such as `task_id`.

        Raises:
            SettingsError: the provider package of the operator is not installed.
        """
