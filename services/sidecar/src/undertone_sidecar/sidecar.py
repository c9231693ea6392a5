"""A whole sidecar, put together from its settings."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import grpc.aio
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from undertone_protos.v1 import classifier_pb2_grpc
from undertone_telemetry.interceptors import ClientEventInterceptor, ServerEventInterceptor
from undertone_telemetry.settings import TelemetryError
from undertone_telemetry.telemetry import Telemetry

from undertone_sidecar.batching import MicroBatcher
from undertone_sidecar.calls import Calls
from undertone_sidecar.cpu import Machine, Plan, oversubscribed, plan, read_machine
from undertone_sidecar.decoding import Decoding
from undertone_sidecar.drain import drain
from undertone_sidecar.errors import PortError, SettingsError
from undertone_sidecar.metrics import CATALOGUE, Measure
from undertone_sidecar.pipeline import Pipeline, no_origin
from undertone_sidecar.readiness import CLASSIFIER, Readiness
from undertone_sidecar.server import ClassifierServicer
from undertone_sidecar.settings import Settings
from undertone_sidecar.supervisor import Supervisor
from undertone_sidecar.tf_serving import TFServing

if TYPE_CHECKING:
    from undertone_telemetry.tracing import Tracing

    from undertone_sidecar.traces import Spans

log = logging.getLogger(__name__)


class Sidecar:
    """Listens from `start` on; ready when its supervisor finds a model. Belongs to the running event loop."""

    def __init__(self, settings: Settings) -> None:
        """Raises SettingsError if more threads are asked for than the CPUs can run."""
        self._settings = settings
        machine = read_machine()
        planned = _planned(machine, settings)
        self._executor = ThreadPoolExecutor(planned.tokenizers, thread_name_prefix="tokenizer")
        self._telemetry = Telemetry(settings.telemetry, CATALOGUE, service="undertone-sidecar")
        tracing = self._telemetry.tracing
        spans = _spans(tracing)
        listener = self._telemetry.listener(Measure(), {"traces": spans} if spans else {})
        self._backend = TFServing(
            settings.model_server,
            settings.served_name,
            interceptors=[
                ClientEventInterceptor(listener),
                *([tracing.client_interceptor(settings.model_server)] if tracing else []),
            ],
        )
        self._batcher = MicroBatcher(
            self._backend,
            settings.bounds(planned.calls),
            call_seconds=settings.predict_timeout_seconds,
            margin_seconds=settings.deadline_margin_seconds,
            listener=listener,
        )
        self._readiness = Readiness()
        self._supervisor = Supervisor(
            settings.model_dir,
            settings.served_name,
            self._backend,
            self._backend,
            self._readiness,
            self._executor,
            overlap=settings.chunk_overlap,
            budget=settings.batch_tokens,
            poll_seconds=settings.poll_seconds,
            instruction_set=machine.instruction_set,
            listener=listener,
        )
        pipeline = Pipeline(
            self._supervisor,
            self._batcher,
            settings.limits,
            overlap=settings.chunk_overlap,
            max_inside=settings.max_queue,
            listener=listener,
            origin=spans.origin if spans else no_origin,
        )
        self._calls = Calls(listener)
        handlers = [tracing.server_interceptor()] if tracing else []
        self._server = grpc.aio.server(
            interceptors=[ServerEventInterceptor(self._calls), *handlers, Decoding()], options=_options(settings)
        )
        self._servicer = ClassifierServicer(pipeline, settings.limits, listener=listener)
        classifier_pb2_grpc.add_ClassifierServicer_to_server(self._servicer, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._readiness.servicer, self._server)
        reflection.enable_server_reflection((CLASSIFIER, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)
        self.port = 0
        self.metrics_port: int | None = None

    async def start(self) -> None:
        """Opens the ports; `port` and `metrics_port` say which. Raises PortError."""
        await self._readiness.begin()
        self.port = self._open(f"{_bracketed(self._settings.host)}:{self._settings.port}")
        try:
            self._telemetry.start()
        except TelemetryError as error:
            raise PortError(str(error)) from None
        self.metrics_port = self._telemetry.metrics_port
        await self._server.start()
        log.info(
            "listening",
            extra={
                "host": self._settings.host,
                "port": self.port,
                "metrics_port": self.metrics_port,
                "model": self._settings.served_name,
                "model_server": self._settings.model_server,
            },
        )

    async def run(self, stop: asyncio.Event, hurry: asyncio.Event) -> bool:
        """Serves until `stop` is set, then drains; `hurry` cuts the drain short. Returns whether all calls were finished.

        Raises ConfigurationError if the first model found cannot be served.
        """
        watching = asyncio.create_task(self._supervisor.run(), name="supervisor")
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([watching, stopping], return_when=asyncio.FIRST_COMPLETED)
            if watching.done():
                await watching
            return await drain(
                self._server,
                self._readiness,
                self._calls,
                self._servicer.refuse,
                delay_seconds=self._settings.drain_delay_seconds,
                grace_seconds=self._settings.grace_period_seconds,
                hurry=hurry,
            )
        finally:
            watching.cancel()
            stopping.cancel()
            await asyncio.gather(watching, stopping, return_exceptions=True)

    async def close(self) -> None:
        """Ends everything at once; calls that still run are cut off."""
        await self._server.stop(None)
        await self._batcher.close()
        await self._backend.close()
        # Last, so that nothing that was counted is lost; not on the event loop, as agents may be slow to take it.
        await asyncio.to_thread(self._telemetry.close)
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _open(self, address: str) -> int:
        try:
            return self._server.add_insecure_port(address)
        except RuntimeError:
            raise PortError(
                f"--port {self._settings.port} cannot be opened on {self._settings.host}; "
                "is another program using it? Choose another, or 0 for a free one"
            ) from None


def _planned(machine: Machine, settings: Settings) -> Plan:
    """What is planned, and where the settings say otherwise, that. Raises SettingsError for more threads than CPUs, here or in
    the model server."""
    problems = list(oversubscribed(machine, settings))
    if problems and not settings.auto:
        raise SettingsError("\n".join(problems))
    for problem in problems:
        log.warning("too many threads, corrected where it is up to the sidecar: %s", problem)
    planned = plan(machine, settings)
    if settings.tokenizer_threads and not problems:
        planned = replace(planned, tokenizers=settings.tokenizer_threads)
    extra = {"machine": str(machine), "tokenizer_threads": planned.tokenizers, "model_calls": planned.calls}
    log.info("cpus", extra=extra)
    return planned


def _spans(tracing: "Tracing | None") -> "Spans | None":
    if tracing is None:
        return None
    from undertone_sidecar.traces import Spans  # imports OpenTelemetry

    return Spans(tracing.tracer)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _options(settings: Settings) -> tuple[tuple[str, int], ...]:
    return (
        ("grpc.max_receive_message_length", settings.limits.message_bytes),
        # Without it, two sidecars would share a port in silence.
        ("grpc.so_reuseport", 0),
        # Lets clients and balancers keep idle connections alive by pings; by default gRPC closes on those who do.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    )
