"""The gRPC server: addresses, services, health, start and stop."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from undertone_dev_server.call_limiter import CallLimiter
from undertone_dev_server.errors import SettingsError
from undertone_dev_server.metrics import Metrics, MetricsServer
from undertone_dev_server.model import Model
from undertone_dev_server.servable import Loader
from undertone_dev_server.services import ModelService, PredictionService
from undertone_dev_server.settings import Settings

log = logging.getLogger(__name__)

HEALTH_SERVICES = ("", "PredictionService", "ModelService")
"""TF Serving's names, which lack the package of the services."""

# Additional threads refuse calls beyond the limit and answer health checks while all others are
# busy.
SPARE_THREADS = 4
SERVER_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # With port reuse, two servers on one port would silently share its connections.
    ("grpc.so_reuseport", 0),
)


class DevelopmentServer:
    """Serves the model of `settings`, loaded by `load`.

    The server listens as soon as it starts. Its health is NOT_SERVING until a version of the model
    is available.
    """

    def __init__(self, settings: Settings, load: Loader) -> None:
        self._settings = settings
        self._model = Model(settings.model_name, settings.model_base_path, load)
        self._health = health.HealthServicer()
        self._serving: bool | None = None
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch_versions, name="watcher")
        self._threads = ThreadPoolExecutor(settings.grpc_max_threads + SPARE_THREADS, thread_name_prefix="call")
        self._call_limiter = CallLimiter(settings.grpc_max_threads)
        self._server = grpc.server(self._threads, interceptors=[self._call_limiter], options=SERVER_OPTIONS)
        self._metrics = Metrics()
        self._metrics_server: MetricsServer | None = None
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            PredictionService(self._model, self._metrics), self._server
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(self._model), self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._report_health()

    def start(self) -> int:
        """Listens, starts to load the model, and returns the TCP port. Raises SettingsError if it
        cannot listen.
        """
        port = self._listen(f"{self._settings.host}:{self._settings.port}", "--port")
        addresses = [f"{self._settings.host}:{port}"]
        if self._settings.grpc_socket_path is not None:
            socket = self._settings.grpc_socket_path.absolute()
            self._listen(f"unix:{socket}", "--grpc_socket_path")
            addresses.append(f"unix:{socket}")
        self._start_metrics_server()
        self._server.start()
        self._watcher.start()
        log.info("gRPC on %s", " and ".join(addresses))
        return port

    def stop(self, grace_seconds: float) -> None:
        """Refuses new calls, gives running calls `grace_seconds` to finish, cancels the rest, and
        frees all resources.
        """
        self._health.enter_graceful_shutdown()
        self._server.stop(grace_seconds)
        self._call_limiter.wait_idle(grace_seconds)
        # The remaining calls exceeded the grace period, or are health streams, which never end by
        # themselves.
        self._server.stop(0).wait()
        self._stopping.set()
        self._watcher.join()  # TensorFlow cannot interrupt a load
        if self._metrics_server:
            self._metrics_server.close()
        self._model.close()
        self._threads.shutdown()

    def _watch_versions(self) -> None:
        """Looks for versions periodically; once if the poll wait is 0, as in TF Serving."""
        while not self._stopping.is_set():
            self._model.reconcile()
            self._report_health()
            if not self._settings.file_system_poll_wait_seconds:
                break
            self._stopping.wait(self._settings.file_system_poll_wait_seconds)

    def _start_metrics_server(self) -> None:
        settings = self._settings
        if settings.rest_api_port is None or not settings.monitoring_path:
            return
        try:
            self._metrics_server = MetricsServer(self._metrics, settings.host, settings.rest_api_port, settings.monitoring_path)
        except OSError as error:
            raise _cannot_listen(f"{settings.host}:{settings.rest_api_port}", "--rest_api_port") from error
        log.info("metrics on http://%s:%d%s", settings.host, self._metrics_server.port, settings.monitoring_path)

    def _listen(self, address: str, flag: str) -> int:
        try:
            return self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise _cannot_listen(address, flag) from error

    def _report_health(self) -> None:
        serving = self._model.available
        if serving == self._serving:
            return  # HealthServicer sends every set() to its watchers, changed or not
        self._serving = serving
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for service in HEALTH_SERVICES:
            self._health.set(service, status)


def _cannot_listen(address: str, flag: str) -> SettingsError:
    return SettingsError(f"cannot listen on {address}: the address is in use or not permitted; choose another {flag}")
