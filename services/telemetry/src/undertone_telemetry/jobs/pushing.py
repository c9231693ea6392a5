"""A job's metrics on their way to a Prometheus Pushgateway: the job ends before anybody scrapes it."""

import logging
from collections.abc import Callable
from typing import Final, Protocol
from urllib.error import HTTPError
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, pushadd_to_gateway
from prometheus_client.registry import Collector

from undertone_telemetry.jobs.events import CATALOGUE

PUSH_SECONDS: Final = 15.0
"""Between pushes: what Prometheus' own scrapes are apart, by the most common setting."""

TIMEOUT_SECONDS: Final = 3.0
"""That one push waits for a gateway that does not answer."""

log = logging.getLogger(__name__)


class Push(Protocol):
    """As `prometheus_client.pushadd_to_gateway`."""

    def __call__(self, gateway: str, job: str, registry: Collector, *, timeout: float) -> None: ...


class Pushing:
    """Pushes the metrics of jobs, and no others, as the group of `job`.

    The others say what is so while a process lives, and would stay in the gateway after it. Each push adds to the
    group, instead of replacing it: the time of the last success stands until the next.

    Args:
        url: of the gateway.
        job: the group.
        registry: with the metrics.
        failed: hears of each push that did not succeed.
        push: does it.
    """

    def __init__(
        self,
        url: str,
        job: str,
        registry: CollectorRegistry,
        failed: Callable[[], None],
        push: Push = pushadd_to_gateway,
    ) -> None:
        self._url = url
        self._job = job
        self._metrics = registry.restricted_registry([metric.name for metric in CATALOGUE])
        self._failed = failed
        self._push = push
        self._said = False

    def __call__(self) -> None:
        """Push once. Raises nothing: the first failure is logged, each is counted."""
        try:
            self._push(self._url, self._job, self._metrics, timeout=TIMEOUT_SECONDS)
        except Exception as error:
            if isinstance(error, HTTPError):
                error.close()  # it holds the connection
            self._failed()
            if not self._said:
                self._said = True
                parts = urlsplit(self._url)
                place = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname  # without a password
                log.warning("the Pushgateway at %s takes no metrics (%s); this is said once", place, error)
