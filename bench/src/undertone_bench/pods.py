"""The pod that is measured, and calls to it."""

import contextlib
import socket
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
import grpc.aio
from prometheus_client.parser import text_string_to_metric_families
from undertone_dev_server import pod as pods
from undertone_protos.tf_serving import PREDICT
from undertone_protos.tfserving.v1 import predict_pb2
from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc
from undertone_sidecar.tf_serving import pack_int32, unpack_float32

from undertone_bench.errors import BenchError
from undertone_bench.paragraphs import Paragraph
from undertone_bench.served import Batch, ServedModel

_READY_SECONDS = 300.0
ALL_CORES: Final = ("--model-calls=1",)
"""The flags of a pod that gives all cores to each call, as suits those who ask one question after the other."""

_ANY_SIZE = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))


@dataclass(frozen=True, slots=True)
class Pod:
    """Its sidecar's gRPC address, its model server's, the address of the sidecar's metrics, and its processes."""

    target: str
    model_server: str
    metrics: str
    pids: Mapping[str, int]

    def padded_tokens(self) -> float:
        """Tokens that the sidecar has sent to the model server so far, padding included."""
        with urllib.request.urlopen(self.metrics, timeout=30) as reply:  # noqa: S310 - an address of our own
            families = text_string_to_metric_families(reply.read().decode())
        samples = (sample for family in families for sample in family.samples)
        return sum(sample.value for sample in samples if sample.name == "undertone_batch_tokens_sum")


@contextlib.contextmanager
def running(model: ServedModel, flags: Sequence[str] = ()) -> Iterator[Pod]:
    """Starts model server and sidecar as undertone-pod does, with its defaults, and stops them at the end.

    `flags` are more for the sidecar. Raises BenchError, with the end of the log.
    """
    port, metrics = _free_ports(2)
    with tempfile.TemporaryDirectory(prefix="undertone-bench-") as folder:
        path = Path(folder, "pod.log")
        more = [f"--metrics-port={metrics}", *flags]
        try:
            with path.open("wb") as log, pods.run(model.base, port, _READY_SECONDS, log, sidecar_flags=more) as pod:
                address = f"http://localhost:{metrics}/metrics"
                yield Pod(pod.target, pod.model_server, address, {name: process.pid for name, process in pod.processes.items()})
        except pods.PodError as error:
            raise BenchError(f"{error}\n{path.read_text(errors='replace')[-2000:]}") from None


class ModelServer:
    """Synchronous Predict calls, one after the other."""

    def __init__(self, target: str, model: ServedModel) -> None:
        self._channel = grpc.insecure_channel(target, options=_ANY_SIZE)
        self._name = model.contract.name
        self._call = self._channel.unary_unary(
            PREDICT,
            request_serializer=predict_pb2.PredictRequest.SerializeToString,
            response_deserializer=predict_pb2.PredictResponse.FromString,
        )

    def predict(self, batch: Batch) -> None:
        """Raises RpcError, and ValueError if the answer has not a row for each of the batch's."""
        request = predict_pb2.PredictRequest(output_filter=["probabilities"])
        request.model_spec.name = self._name
        request.model_spec.signature_name = "serving_default"
        pack_int32(batch.input_ids, request.inputs["input_ids"])
        pack_int32(batch.attention_mask, request.inputs["attention_mask"])
        scores = unpack_float32(self._call(request).outputs["probabilities"])
        if len(scores) != len(batch.input_ids):
            raise ValueError(f"{len(batch.input_ids)} rows were sent and {len(scores)} answered")

    def close(self) -> None:
        self._channel.close()


class Caller:
    """Classify calls without retries or limits: whoever drives the load decides."""

    def __init__(self, target: str, lane: str = "online") -> None:
        self._channel = grpc.aio.insecure_channel(target)
        self._stub = classifier_pb2_grpc.ClassifierStub(self._channel)
        self._metadata = (("undertone-lane", lane),)

    async def __call__(self, paragraph: Paragraph) -> bool:
        """Whether it was answered with a score."""
        try:
            await self._stub.Classify(classifier_pb2.ClassifyRequest(text=paragraph.text), metadata=self._metadata)
        except grpc.aio.AioRpcError:
            return False
        return True

    async def close(self) -> None:
        await self._channel.close()


def _free_ports(count: int) -> list[int]:
    """Of the loopback, free a moment ago."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("localhost", 0))
        return [int(one.getsockname()[1]) for one in sockets]
