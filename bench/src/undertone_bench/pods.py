"""Pods to measure, and clients without retries or limits."""

import contextlib
import tempfile
import urllib.request
from collections.abc import Collection, Iterator, Mapping, Sequence
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
from undertone_bench.models import Batch, BenchModel
from undertone_bench.processes import free_ports
from undertone_bench.workload import Paragraph

ALL_CORES: Final = ("--model-calls=1",)
"""Sidecar flags of a pod that computes each call with all cores."""

_READY_SECONDS = 300.0
_UNLIMITED_MESSAGES = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))


@dataclass(frozen=True, slots=True)
class Pod:
    """A running pod.

    Attributes:
        target: Address of the sidecar.
        model_server: Address of the model server.
        metrics_url: URL of the sidecar's metrics.
        pids: Process ids by name.
        model_calls: Calls to the model server at once.
        load_seconds: From the start until the model is loaded.
        warmup_seconds: From then on until the pod is ready.
    """

    target: str
    model_server: str
    metrics_url: str
    pids: Mapping[str, int]
    model_calls: int = 1
    load_seconds: float = 0.0
    warmup_seconds: float = 0.0

    def sent_tokens(self, kind: str = "") -> float:
        """Total tokens that the sidecar has sent to the model server: all, or of this kind.

        Kinds are text and padding.
        """
        with urllib.request.urlopen(self.metrics_url, timeout=30) as reply:  # noqa: S310 - the URL is a loopback address
            families = text_string_to_metric_families(reply.read().decode())
        samples = (sample for family in families for sample in family.samples if sample.name == "undertone_tokens_total")
        return sum(sample.value for sample in samples if not kind or sample.labels["kind"] == kind)


@contextlib.contextmanager
def running_pod(
    model: BenchModel,
    sidecar_flags: Sequence[str] = (),
    *,
    cpus: Collection[int] = (),
    variables: Mapping[str, str] = pods.NO_VARIABLES,
    port: int = 0,
) -> Iterator[Pod]:
    """A model server and a sidecar with undertone-pod's defaults, stopped at the end of the block.

    Args:
        model: The model to serve.
        sidecar_flags: Additional flags of the sidecar.
        cpus: Numbers of the CPUs on which both processes run. Empty: those of this process.
        variables: Environment variables that override those of this process.
        port: Port of the sidecar. 0 chooses a free one.

    Raises:
        BenchError: The pod does not become ready. The message has the end of the log.
    """
    free_port, metrics_port = free_ports(2)
    port = port or free_port
    with tempfile.TemporaryDirectory(prefix="undertone-bench-") as folder:
        path = Path(folder, "pod.log")
        flags = [f"--metrics-port={metrics_port}", *sidecar_flags]
        try:
            with (
                path.open("wb") as log,
                pods.run(model.base, port, _READY_SECONDS, log, sidecar_flags=flags, cpus=cpus, variables=variables) as pod,
            ):
                pids = {name: process.pid for name, process in pod.processes.items()}
                url = f"http://localhost:{metrics_port}/metrics"
                calls = int(pod.threads["UNDERTONE_MODEL_CALLS"])
                yield Pod(pod.target, pod.model_server, url, pids, calls, pod.load_seconds, pod.warmup_seconds)
        except pods.PodError as error:
            raise BenchError(f"{error}\n{path.read_text(errors='replace')[-2000:]}") from None


class PredictClient:
    """A synchronous client of the model server."""

    def __init__(self, target: str, model: BenchModel) -> None:
        self._channel = grpc.insecure_channel(target, options=_UNLIMITED_MESSAGES)
        self._model = model.contract.name
        self._call = self._channel.unary_unary(
            PREDICT,
            request_serializer=predict_pb2.PredictRequest.SerializeToString,
            response_deserializer=predict_pb2.PredictResponse.FromString,
        )

    def predict(self, batch: Batch) -> None:
        """Raises RpcError, and ValueError if the answer has another number of rows."""
        request = predict_pb2.PredictRequest(output_filter=["probabilities"])
        request.model_spec.name = self._model
        request.model_spec.signature_name = "serving_default"
        pack_int32(batch.input_ids, request.inputs["input_ids"])
        pack_int32(batch.attention_mask, request.inputs["attention_mask"])
        scores = unpack_float32(self._call(request).outputs["probabilities"])
        if len(scores) != len(batch.input_ids):
            raise ValueError(f"sent {len(batch.input_ids)} rows, received {len(scores)}")

    def close(self) -> None:
        self._channel.close()


class ClassifyClient:
    """A client that makes Classify calls without retries or limits."""

    def __init__(self, target: str, lane: str = "online") -> None:
        self._channel = grpc.aio.insecure_channel(target)
        self._stub = classifier_pb2_grpc.ClassifierStub(self._channel)
        self._metadata = (("undertone-lane", lane),)

    async def __call__(self, paragraph: Paragraph) -> bool:
        """Whether the call succeeded."""
        try:
            await self._stub.Classify(classifier_pb2.ClassifyRequest(text=paragraph.text), metadata=self._metadata)
        except grpc.aio.AioRpcError:
            return False
        return True

    async def close(self) -> None:
        await self._channel.close()
