"""Builds a sidecar from its settings."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import grpc.aio
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from undertone_protos.inference import open_inference_pb2_grpc
from undertone_protos.v1 import classifier_pb2_grpc
from undertone_telemetry import Telemetry, TelemetryError
from undertone_telemetry.interceptors import ClientEventInterceptor, ServerEventInterceptor

from undertone_sidecar import grpc_server
from undertone_sidecar.activity import Activity
from undertone_sidecar.answer_cache import AnswerKeys, CachedClassifier, MemoryAnswers
from undertone_sidecar.answers import Classifier
from undertone_sidecar.batching import MicroBatcher
from undertone_sidecar.call_guard import CallGuard, CallLimits
from undertone_sidecar.cpu import Machine, ThreadPlan, oversubscription, plan_threads, read_machine
from undertone_sidecar.decode_errors import DecodeErrorInterceptor
from undertone_sidecar.drain import InFlightTracker, drain
from undertone_sidecar.errors import PortError, SettingsError
from undertone_sidecar.events import HttpAnswered, Listener, ignore
from undertone_sidecar.grpc_options import server_options
from undertone_sidecar.health import CLASSIFIER, OPEN_INFERENCE, Health
from undertone_sidecar.message_limits import message_checks
from undertone_sidecar.metrics import CATALOGUE, Measure
from undertone_sidecar.model_watcher import ModelWatcher
from undertone_sidecar.open_inference import OpenInferenceServicer
from undertone_sidecar.pipeline import Pipeline, no_span
from undertone_sidecar.scoring import Scoring
from undertone_sidecar.server import ClassifierServicer
from undertone_sidecar.settings import Settings
from undertone_sidecar.tf_serving import TFServing
from undertone_sidecar.tls import ServerCertificates

if TYPE_CHECKING:
    from undertone_telemetry.tracing import Tracing

    from undertone_sidecar.answer_cache.redis_answers import RedisAnswers
    from undertone_sidecar.http import HttpPort
    from undertone_sidecar.spans import SpanListener

log = logging.getLogger(__name__)


class Sidecar:
    """The gRPC server and everything behind it. Bound to the running event loop."""

    def __init__(self, settings: Settings) -> None:
        """Builds the parts, and opens no port.

        Raises:
            SettingsError: The settings need more threads than there are CPUs.
            DependencyError: The installed grpcio is not supported.
        """
        self._settings = settings
        machine = read_machine()
        planned = _plan(machine, settings)
        self._executor = ThreadPoolExecutor(planned.tokenizers, thread_name_prefix="tokenizer")
        self._telemetry = Telemetry(settings.telemetry, CATALOGUE, service="undertone-sidecar")
        tracing = self._telemetry.tracing
        span_listener = _span_listener(tracing)
        listener = self._telemetry.listener(Measure(), {"traces": span_listener} if span_listener else {})
        self._backend = TFServing(
            settings.model_server,
            settings.served_name,
            interceptors=[
                ClientEventInterceptor(listener),
                *([tracing.client_interceptor(settings.model_server)] if tracing else []),
            ],
        )
        activity = Activity()
        self._batcher = MicroBatcher(
            self._backend,
            settings.batch_limits(planned.model_calls),
            call_seconds=settings.predict_timeout_seconds,
            margin_seconds=settings.deadline_margin_seconds,
            listener=listener,
            activity=activity,
        )
        self._health = Health()
        self._watcher = ModelWatcher(
            settings.model_dir,
            settings.served_name,
            self._backend,
            self._backend,
            self._health,
            self._executor,
            overlap=settings.chunk_overlap,
            memory=settings.memory(planned.model_calls),
            call_seconds=settings.predict_timeout_seconds,
            poll_seconds=settings.poll_seconds,
            instruction_set=machine.instruction_set,
            activity=activity,
            listener=listener,
        )
        pipeline = Pipeline(
            self._watcher,
            self._batcher,
            settings.request_limits,
            overlap=settings.chunk_overlap,
            max_paragraphs=settings.max_queue,
            tokenizer_threads=planned.tokenizers,
            margin_seconds=settings.deadline_margin_seconds,
            listener=listener,
            current_span=span_listener.current_span if span_listener else no_span,
        )
        self._tracker = InFlightTracker(listener)
        handlers = [tracing.server_interceptor()] if tracing else []
        self._server = grpc_server.server(
            [
                CallGuard(CallLimits(), self._tracker, trust_caller_metadata=settings.trust_caller_metadata),
                ServerEventInterceptor(self._tracker),
                *handlers,
                DecodeErrorInterceptor(message_checks(settings.request_limits)),
            ],
            server_options(settings.request_limits.message_bytes),
        )
        classifier: Classifier = pipeline
        self._redis = _redis_answers(settings, listener)
        if settings.cache_bytes or self._redis:
            classifier = CachedClassifier(
                pipeline,
                AnswerKeys(overlap=settings.chunk_overlap, max_chunks=settings.max_paragraph_chunks),
                settings.request_limits,
                memory=MemoryAnswers(settings.cache_bytes) if settings.cache_bytes else None,
                shared=self._redis,
                margin_seconds=settings.deadline_margin_seconds,
                listener=listener,
            )
        self._scoring = Scoring(classifier, settings.request_limits, listener=listener)
        classifier_pb2_grpc.add_ClassifierServicer_to_server(ClassifierServicer(self._scoring), self._server)
        open_inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(
            OpenInferenceServicer(self._scoring, self._health, settings.served_name), self._server
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health.servicer, self._server)
        services = (CLASSIFIER, OPEN_INFERENCE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(services, self._server)
        self._certificates: ServerCertificates | None = None
        if settings.tls_files:
            self._certificates = ServerCertificates(settings.tls_files, poll_seconds=settings.poll_seconds, listener=listener)
        self._health_server: grpc.aio.Server | None = None
        if settings.health_port is not None:
            self._health_server = grpc_server.server(
                [CallGuard(CallLimits(calls=64, streams=64), ignore), DecodeErrorInterceptor({})],
                server_options(settings.request_limits.message_bytes),
            )
            health_pb2_grpc.add_HealthServicer_to_server(self._health.servicer, self._health_server)
        self._http = _http_port(settings, listener)
        self.port = 0
        self.http_port: int | None = None
        self.health_port: int | None = None
        self.metrics_port: int | None = None

    @property
    def calls_in_flight(self) -> int:
        return self._tracker.in_flight

    async def start(self) -> None:
        """Opens the ports, and sets `port`, `http_port`, `health_port` and `metrics_port`.

        Raises PortError.
        """
        self._health.start()
        credentials = self._certificates.credentials() if self._certificates else None
        self.port = self._open_port(self._server, "--port", self._settings.port, credentials)
        if self._health_server and self._settings.health_port is not None:
            self.health_port = self._open_port(self._health_server, "--health-port", self._settings.health_port)
        try:
            self._telemetry.start()
        except TelemetryError as error:
            raise PortError(str(error)) from None
        self.metrics_port = self._telemetry.metrics_port
        if self._redis:
            self._redis.start()
        if self._http:
            self._http.attach(self._server)
        await self._server.start()
        if self._http and (http_port := self._settings.http_port) is not None:
            from undertone_sidecar.http_application import http_application  # Imports Starlette.

            app = http_application(self._settings, self._http.channel, self._health)
            context = self._certificates.context if self._certificates else None
            self.http_port = await self._http.start(app, self._settings.host, http_port, context)
        if self._health_server:
            await self._health_server.start()
        log.info(
            "listening",
            extra={
                "host": self._settings.host,
                "port": self.port,
                "tls": self._certificates is not None,
                "http_port": self.http_port,
                "health_port": self.health_port,
                "metrics_port": self.metrics_port,
                "model": self._settings.served_name,
                "model_server": self._settings.model_server,
            },
        )

    async def run(self, stop: asyncio.Event, force_stop: asyncio.Event) -> bool:
        """Serves until `stop` is set, then drains until `force_stop` is set.

        Returns:
            Whether all accepted calls were finished.

        Raises:
            ConfigurationError: The first model cannot be served.
            Exception: The server cannot accept calls any more.
        """
        watching = asyncio.create_task(self._watcher.run(), name="model-watcher")
        stopping = asyncio.create_task(stop.wait())
        failing = asyncio.create_task(self._server.failure(), name="server-failure")
        tasks: list[asyncio.Task[Any]] = [watching, stopping, failing]
        if self._certificates:
            tasks.append(asyncio.create_task(self._certificates.watch(), name="tls-files"))
        try:
            await asyncio.wait(tasks[:3], return_when=asyncio.FIRST_COMPLETED)
            for task in (watching, failing):
                if task.done():
                    await task
            return await drain(
                self._server,
                self._health,
                self._tracker,
                self._refuse_calls,
                serving_seconds=self._settings.drain_serving_seconds,
                delay_seconds=self._settings.drain_delay_seconds,
                grace_seconds=self._settings.grace_period_seconds,
                force_stop=force_stop,
            )
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        """Stops immediately. Calls in flight are cancelled."""
        if self._http:
            await self._http.close()
        await self._server.stop(None)
        if self._health_server:
            await self._health_server.stop(None)
        await self._batcher.close()
        if self._redis:
            await self._redis.close()
        await self._backend.close()
        # Last, so that all events are sent. In a thread, because agents can be slow to read.
        await asyncio.to_thread(self._telemetry.close)
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _refuse_calls(self) -> None:
        self._scoring.refuse_calls()
        if self._http:
            self._http.end_connections()

    def _open_port(
        self, server: grpc.aio.Server, flag: str, port: int, credentials: grpc.ServerCredentials | None = None
    ) -> int:
        address = f"{_bracketed(self._settings.host)}:{port}"
        try:
            return server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
        except RuntimeError:
            raise PortError(
                f"{flag} {port} cannot be opened on {self._settings.host}: "
                "another program may use it; use another port, or 0 for a free one"
            ) from None


def _plan(machine: Machine, settings: Settings) -> ThreadPlan:
    """The thread plan with the settings. Raises SettingsError if there are too many threads."""
    problems = list(oversubscription(machine, settings))
    if problems and not settings.auto:
        raise SettingsError("\n".join(problems))
    for problem in problems:
        log.warning("too many threads; the sidecar corrects only its own: %s", problem)
    planned = plan_threads(machine, settings)
    if settings.tokenizer_threads and not problems:
        planned = replace(planned, tokenizers=settings.tokenizer_threads)
    extra = {"machine": str(machine), "tokenizer_threads": planned.tokenizers, "model_calls": planned.model_calls}
    log.info("thread plan", extra=extra)
    return planned


def _redis_answers(settings: Settings, listener: Listener) -> "RedisAnswers | None":
    if not settings.cache_redis:
        return None
    from undertone_sidecar.answer_cache.redis_answers import RedisAnswers  # Imports the client of Redis.

    return RedisAnswers(settings, listener=listener)


def _http_port(settings: Settings, listener: Listener) -> "HttpPort | None":
    if settings.http_port is None:
        return None
    from undertone_sidecar.http import ConnectionState, HttpPort  # Imports Starlette and uvicorn.

    return HttpPort(ConnectionState(answered=lambda status: listener(HttpAnswered(status))))


def _span_listener(tracing: "Tracing | None") -> "SpanListener | None":
    if tracing is None:
        return None
    from undertone_sidecar.spans import SpanListener  # Imports OpenTelemetry.

    return SpanListener(tracing.tracer)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
