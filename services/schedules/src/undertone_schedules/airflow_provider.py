"""What Airflow shows about this package in its list of providers.

Airflow loads this module while it starts. The module must import nothing of Airflow.
"""

from importlib.metadata import version
from typing import Any


def provider_info() -> dict[str, Any]:
    """The entry point `apache_airflow_provider`."""
    return {
        "package-name": "undertone-schedules",
        "name": "Undertone",
        "description": "DAGs of the Spark job that scores the emotions of paragraphs.",
        "versions": [version("undertone-schedules")],
    }
