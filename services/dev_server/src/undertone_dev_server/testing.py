"""A Servable without TensorFlow's runtime, for tests."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import grpc
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from undertone_dev_server.errors import LoadError
from undertone_dev_server.folders import GRAPH_FILE
from undertone_dev_server.servable import Array, SignatureDef

BROKEN = b"broken"


def write_version(base_path: Path, version: int, *, broken: bool = False) -> Path:
    """Creates a version folder that FakeLoader loads, or refuses if `broken`."""
    folder = base_path / str(version)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / GRAPH_FILE).write_bytes(BROKEN if broken else b"")
    return folder


def echo_signature() -> SignatureDef:
    """A signature with the input `x` and the output `y`, both int32 of any length."""
    signature = meta_graph_pb2.SignatureDef(method_name="tensorflow/serving/predict")
    for infos, alias in ((signature.inputs, "x"), (signature.outputs, "y")):
        infos[alias].name = f"{alias}:0"
        infos[alias].dtype = types_pb2.DT_INT32
        infos[alias].tensor_shape.dim.add(size=-1)
    return signature


class FakeServable:
    """Returns its input `x` as its output `y`.

    A run releases `entered`, then waits for the event `gate`, which is set initially. The timeout
    does not end the wait, because TF Serving computes a run to its end.
    `closed_while_running` is True if the servable was closed during a run, which is an error of the
    caller.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.signatures: Mapping[str, SignatureDef] = {"serving_default": echo_signature()}
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)
        self.times_closed = 0
        self.closed_while_running = False
        self._running = 0
        self._lock = threading.Lock()

    def run(self, fetches: Sequence[str], feeds: Mapping[str, Array], timeout: float | None) -> Sequence[Array]:
        with self._lock:
            self._running += 1
        self.entered.release()
        try:
            self.gate.wait()
            return [feeds["x:0"] for _ in fetches]
        finally:
            with self._lock:
                self._running -= 1

    def close(self) -> None:
        with self._lock:
            self.times_closed += 1
            self.closed_while_running |= self._running > 0


class FakeLoader:
    """Loads FakeServables from folders of `write_version`.

    `loaded` holds all of them, oldest first. `attempts` has the names of the folders, also of those
    that failed. A load releases `entered`, then waits for the event `gate`, which is set initially.
    """

    def __init__(self) -> None:
        self.loaded: list[FakeServable] = []
        self.attempts: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)

    def __call__(self, folder: Path) -> FakeServable:
        self.attempts.append(folder.name)
        self.entered.release()
        self.gate.wait()
        try:
            broken = (folder / GRAPH_FILE).read_bytes() == BROKEN
        except OSError as error:
            raise LoadError(f"{folder} has no graph", grpc.StatusCode.NOT_FOUND) from error
        if broken:
            raise LoadError(f"{folder} is broken")
        servable = FakeServable(folder)
        self.loaded.append(servable)
        return servable
