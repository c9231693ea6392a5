"""The gRPC server: sockets, services, health, start and stop."""

import logging
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from undertone_dev_server.admission import Admission
from undertone_dev_server.errors import SettingsError
from undertone_dev_server.metrics import Metrics, MetricsPage
from undertone_dev_server.model import Model
from undertone_dev_server.registry import Registry
from undertone_dev_server.servable import Loader
from undertone_dev_server.services import ModelService, PredictionService
from undertone_dev_server.settings import Settings
from undertone_dev_server.watcher import Watcher

log = logging.getLogger(__name__)

HEALTH_SERVICES = ("", "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService")
# Beyond the calls that may run: threads that refuse the others and answer health checks meanwhile.
SPARE_THREADS = 4
CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # Two servers on one port would share its connections in silence.
    ("grpc.so_reuseport", 0),
)


class ModelServer:
    """Serves the models of `settings`, loaded by `load`.

    It listens as soon as it is started, and is NOT_SERVING by health until every model has a version.
    """

    def __init__(self, settings: Settings, load: Loader) -> None:
        self._registry = Registry(Model(config, load) for config in settings.models)
        self._settings = settings
        self._health = health.HealthServicer()
        self._serving: bool | None = None
        self._watcher = Watcher(self._registry.models.values(), settings.file_system_poll_wait_seconds, self._report_health)
        self._threads = ThreadPoolExecutor(settings.grpc_max_threads + SPARE_THREADS, thread_name_prefix="call")
        self._admission = Admission(settings.grpc_max_threads)
        self._server = grpc.server(self._threads, interceptors=[self._admission], options=CHANNEL_OPTIONS)
        self._metrics = Metrics()
        self._page: MetricsPage | None = None
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            PredictionService(self._registry, self._metrics), self._server
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(self._registry), self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._report_health()

    def start(self) -> int:
        """Listens, begins to load, and returns the TCP port. Raises SettingsError if an address cannot be had."""
        port = self._listen(f"{self._settings.host}:{self._settings.port}", "--port")
        addresses = [f"{self._settings.host}:{port}"]
        if self._settings.grpc_socket_path is not None:
            socket = self._settings.grpc_socket_path.absolute()
            self._listen(f"unix:{socket}", "--grpc_socket_path")
            addresses.append(f"unix:{socket}")
        self._open_page()
        self._server.start()
        self._watcher.start()
        log.info("gRPC on %s", " and ".join(addresses))
        return port

    def stop(self, grace_seconds: float) -> None:
        """Refuses new calls, gives those that run `grace_seconds` to end, cancels the rest, and frees everything."""
        self._health.enter_graceful_shutdown()
        self._server.stop(grace_seconds)
        self._admission.wait_answered(grace_seconds)
        # What is left open are calls out of time, and streams of health, which would never end by themselves.
        self._server.stop(0).wait()
        self._watcher.stop()
        if self._page:
            self._page.close()
        for model in self._registry.models.values():
            model.close()
        self._threads.shutdown()

    def _open_page(self) -> None:
        settings = self._settings
        if settings.rest_api_port is None or not settings.monitoring_path:
            return
        try:
            self._page = MetricsPage(self._metrics, settings.host, settings.rest_api_port, settings.monitoring_path)
        except OSError as error:
            raise SettingsError(
                f"cannot listen on {settings.host}:{settings.rest_api_port}: is it taken, or not ours to use? "
                "Choose another --rest_api_port"
            ) from error
        log.info("metrics on http://%s:%d%s", settings.host, self._page.port, settings.monitoring_path)

    def _listen(self, address: str, flag: str) -> int:
        try:
            return self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise SettingsError(
                f"cannot listen on {address}: is it taken, or not ours to use? Choose another {flag}"
            ) from error

    def _report_health(self) -> None:
        serving = self._registry.available
        if serving == self._serving:
            return  # those who watch are told of changes only
        self._serving = serving
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for service in HEALTH_SERVICES:
            self._health.set(service, status)
