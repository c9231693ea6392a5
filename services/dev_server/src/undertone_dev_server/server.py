"""The gRPC server: addresses, services, health, start and stop."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc
from undertone_telemetry.page_server import PageServer

from undertone_dev_server.call_limiter import CallLimiter
from undertone_dev_server.errors import SettingsError, StartError
from undertone_dev_server.metrics import Metrics, serve_metrics
from undertone_dev_server.model import Model
from undertone_dev_server.servable import Loader
from undertone_dev_server.services import ModelService, PredictionService
from undertone_dev_server.settings import Settings
from undertone_dev_server.states import Retries

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

    As in TF Serving, the server listens once a version of the model is available. From then on its
    health is SERVING, also without a version. Killing it is the way to end it; `stop` is for a
    server in a process that goes on.
    """

    def __init__(self, settings: Settings, load: Loader, metrics: Metrics | None = None) -> None:
        self._settings = settings
        self._stopping = threading.Event()
        retries = Retries(settings.max_num_load_retries, max(settings.load_retry_interval_micros, 0) / 1e6, self._stopping.wait)
        self._model = Model(settings.model_name, settings.model_base_path, load, settings.version_policy, retries)
        self._watcher = threading.Thread(target=self._watch_versions, name="watcher", daemon=True)
        self._threads = ThreadPoolExecutor(settings.grpc_max_threads + SPARE_THREADS, thread_name_prefix="call")
        self._server = grpc.server(self._threads, interceptors=[CallLimiter(settings.grpc_max_threads)], options=SERVER_OPTIONS)
        self._metrics = metrics or Metrics()
        self._metrics_page: PageServer | None = None
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            PredictionService(self._model, self._metrics), self._server
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(self._model), self._server)
        statuses = health.HealthServicer()
        for service in HEALTH_SERVICES:
            statuses.set(service, health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(statuses, self._server)

    def start(self) -> int:
        """Waits until a version of the model is available, listens, and returns the TCP port.

        Raises StartError if every version has failed to load or the server was stopped, and
        SettingsError if it cannot listen.
        """
        self._watcher.start()
        if not self._model.wait_for_first_load(self._stopping):
            raise StartError(f"no version of the model {self._model.name} became available; see the errors above")
        port = self._listen(f"{self._settings.host}:{self._settings.port}", "--port")
        addresses = [f"{self._settings.host}:{port}"]
        if self._settings.grpc_socket_path is not None:
            socket = self._settings.grpc_socket_path.absolute()
            self._listen(f"unix:{socket}", "--grpc_socket_path")
            addresses.append(f"unix:{socket}")
        self._start_metrics_page()
        self._server.start()
        log.info("gRPC on %s", " and ".join(addresses))
        return port

    def stop(self) -> None:
        """Ends running calls, and frees all resources."""
        self._stopping.set()
        self._model.wake()
        self._server.stop(0).wait()
        self._watcher.join()  # TensorFlow cannot interrupt a load
        if self._metrics_page:
            self._metrics_page.close()
        self._model.close()
        self._threads.shutdown()

    def _watch_versions(self) -> None:
        """Looks for versions periodically; once if the poll wait is 0, as in TF Serving."""
        while not self._stopping.is_set():
            self._model.reconcile(concurrently=not self._model.has_served)
            if not self._settings.file_system_poll_wait_seconds:
                break
            self._stopping.wait(self._settings.file_system_poll_wait_seconds)

    def _start_metrics_page(self) -> None:
        settings = self._settings
        if settings.rest_api_port is None or not settings.monitoring_path:
            return
        try:
            self._metrics_page = serve_metrics(self._metrics, settings.host, settings.rest_api_port, settings.monitoring_path)
        except OSError as error:
            raise _cannot_listen(f"{settings.host}:{settings.rest_api_port}", "--rest_api_port") from error
        log.info("metrics on http://%s:%d%s", settings.host, self._metrics_page.port, settings.monitoring_path)

    def _listen(self, address: str, flag: str) -> int:
        try:
            return self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise _cannot_listen(address, flag) from error


def _cannot_listen(address: str, flag: str) -> SettingsError:
    return SettingsError(f"cannot listen on {address}: the address is in use or not permitted; choose another {flag}")
