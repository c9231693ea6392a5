"""The adapters of one process, as its settings switch them on."""

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from undertone_telemetry.fanout import CATALOGUE, ERRORS, Adapter, Listeners, Signal
from undertone_telemetry.metric import Measurement, Metric
from undertone_telemetry.settings import TelemetryError, TelemetrySettings
from undertone_telemetry.tracing import open_tracing

if TYPE_CHECKING:
    from undertone_telemetry import prometheus

_Event = TypeVar("_Event")

log = logging.getLogger(__name__)


class Telemetry:
    """Adapters for a catalogue; their libraries are imported only where they are switched on.

    Attributes:
        adapters: for listeners.
        prometheus: the one with the registry; None without --metrics-port and --pushgateway.
        metrics_port: where it is read, once `start` has been called; None without --metrics-port.
        tracing: makes spans; None without --trace-sample.
    """

    def __init__(self, settings: TelemetrySettings, catalogue: Iterable[Metric], *, service: str = "undertone") -> None:
        """`service` is what traces call this process."""
        self._settings = settings
        self._server: prometheus.MetricsServer | None = None
        self._said_lost = False
        self.metrics_port: int | None = None
        self.prometheus: prometheus.Prometheus | None = None
        self.adapters: tuple[Adapter, ...] = ()
        if settings.metrics_port is not None or settings.pushgateway:
            from undertone_telemetry.prometheus import Prometheus

            self.prometheus = Prometheus((*catalogue, *CATALOGUE))
            self.adapters += (self.prometheus,)
        if settings.dogstatsd:
            from undertone_telemetry.dogstatsd import DogStatsD

            self.adapters += (DogStatsD(settings.dogstatsd, self._lost),)
        self.tracing = open_tracing(
            settings.otlp_endpoint, settings.trace_sample, service=service, lost=lambda spans: self._count_lost("otlp", spans)
        )

    def start(self) -> None:
        """Opens the metrics' port, if there is to be one. Raises TelemetryError."""
        if self.prometheus is None or self._settings.metrics_port is None:
            return
        from undertone_telemetry.prometheus import MetricsServer

        try:
            self._server = MetricsServer(self.prometheus, self._settings.metrics_host, self._settings.metrics_port)
        except OSError as error:
            raise TelemetryError(
                f"--metrics-port {self._settings.metrics_port} cannot be opened on {self._settings.metrics_host} "
                f"({error.strerror}); choose another, or 0 for a free one"
            ) from None
        self.metrics_port = self._server.port

    def listener(
        self, measure: Callable[[_Event], Iterable[Signal]], followers: Mapping[str, Callable[[_Event], None]] | None = None
    ) -> Listeners[_Event]:
        """For the events that `measure` understands; its metrics must be in the catalogue. `followers` hear the events
        themselves, by their names."""
        return Listeners(measure, self.adapters, followers or {})

    def close(self) -> None:
        """Sends what was not sent yet, which takes seconds where nobody reads it, and closes the port."""
        if self.tracing:
            self.tracing.close()
        for adapter in self.adapters:
            adapter.close()
        if self._server:
            self._server.close()

    def _lost(self, packets: int) -> None:
        if not self._said_lost:
            self._said_lost = True
            log.warning(
                "telemetry: packets to DogStatsD at %s were lost; this is said once, and counted in %s",
                self._settings.dogstatsd,
                ERRORS.name,
            )
        self._count_lost("dogstatsd", packets)

    def _count_lost(self, name: str, lost: int) -> None:
        for adapter in self.adapters:
            with suppress(Exception):
                adapter.record(Measurement(ERRORS, lost, (name,)))
