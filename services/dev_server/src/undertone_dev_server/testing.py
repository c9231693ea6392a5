"""A servable without TensorFlow's runtime, for tests of everything around it."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from undertone_dev_server.errors import LoadError
from undertone_dev_server.folders import GRAPH_FILE
from undertone_dev_server.servable import Array, SignatureDef

BROKEN = b"broken"


def write_version(base_path: Path, version: int, *, broken: bool = False) -> Path:
    """Makes a version folder that FakeLoader loads, or refuses if `broken`."""
    folder = base_path / str(version)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / GRAPH_FILE).write_bytes(BROKEN if broken else b"")
    return folder


def echo_signature() -> SignatureDef:
    """One input `x` and one output `y`, int32 of any length; the output is the input."""
    signature = meta_graph_pb2.SignatureDef(method_name="tensorflow/serving/predict")
    for infos, alias in ((signature.inputs, "x"), (signature.outputs, "y")):
        infos[alias].name = f"{alias}:0"
        infos[alias].dtype = types_pb2.DT_INT32
        infos[alias].tensor_shape.dim.add(size=-1)
    return signature


class FakeServable:
    """Echoes its one input. A run waits until `gate` is set, which it is to begin with.

    `running` is how many runs are in `run` now; `closed_while_running` tells of a mistake of whoever closed it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.signatures: Mapping[str, SignatureDef] = {"serving_default": echo_signature()}
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)
        self.running = 0
        self._counting = threading.Lock()
        self.times_closed = 0
        self.closed_while_running = False

    def run(self, fetches: Sequence[str], feeds: Mapping[str, Array], timeout: float | None) -> Sequence[Array]:
        with self._counting:
            self.running += 1
        self.entered.release()
        try:
            self.gate.wait(timeout)
            return [feeds["x:0"] for _ in fetches]
        finally:
            with self._counting:
                self.running -= 1

    def close(self) -> None:
        with self._counting:
            self.times_closed += 1
            self.closed_while_running |= self.running > 0


class FakeLoader:
    """Loads FakeServables from what `write_version` made; `loaded` has all of them, oldest first."""

    def __init__(self) -> None:
        self.loaded: list[FakeServable] = []

    def __call__(self, folder: Path) -> FakeServable:
        if (folder / GRAPH_FILE).read_bytes() == BROKEN:
            raise LoadError(f"{folder} is broken")
        servable = FakeServable(folder)
        self.loaded.append(servable)
        return servable
