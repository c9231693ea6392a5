"""The gRPC service inference.GRPCInferenceService."""

import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from undertone_protos.inference import open_inference_pb2, open_inference_pb2_grpc

from undertone_sidecar.answers import Answer, Classified
from undertone_sidecar.contract import Contract
from undertone_sidecar.errors import ModelNotFoundError, RequestError
from undertone_sidecar.health import OPEN_INFERENCE, Health
from undertone_sidecar.open_inference.outputs import ANY_SIZE, Rows, fill, outputs_of, select
from undertone_sidecar.open_inference.parameters import shown
from undertone_sidecar.open_inference.request import BYTES, ID, TEXT, InferRequest, prefix, read_request
from undertone_sidecar.scoring import Context, Scoring, abort, deadline_and_lane, lane_of

EXTENSIONS: Final = ("binary_tensor_data",)
"""Extensions of the protocol: binary tensors in REST."""

_PLATFORM: Final = "undertone"

_TensorMetadata = open_inference_pb2.ModelMetadataResponse.TensorMetadata


@dataclass(frozen=True, slots=True, eq=False)
class _Failed:
    """A paragraph that has no result, and the reason."""

    index: int
    error: BaseException


class OpenInferenceServicer(open_inference_pb2_grpc.GRPCInferenceServiceServicer):
    """The Open Inference Protocol over a pipeline."""

    def __init__(self, scoring: Scoring, health: Health, model_name: str) -> None:
        """Creates the service.

        Args:
            scoring: Scores the paragraphs.
            health: Whether the sidecar is ready.
            model_name: Name of the served model.
        """
        self._scoring = scoring
        self._health = health
        self._model_name = model_name
        # Once, because the version is read from a file.
        self._server_metadata = open_inference_pb2.ServerMetadataResponse(
            name="undertone", version=version("undertone-sidecar"), extensions=EXTENSIONS
        )

    async def ServerLive(  # noqa: N802
        self, request: open_inference_pb2.ServerLiveRequest, context: Context
    ) -> open_inference_pb2.ServerLiveResponse:
        return open_inference_pb2.ServerLiveResponse(live=True)

    async def ServerReady(  # noqa: N802
        self, request: open_inference_pb2.ServerReadyRequest, context: Context
    ) -> open_inference_pb2.ServerReadyResponse:
        return open_inference_pb2.ServerReadyResponse(ready=self._health.is_serving(OPEN_INFERENCE))

    async def ModelReady(  # noqa: N802
        self, request: open_inference_pb2.ModelReadyRequest, context: Context
    ) -> open_inference_pb2.ModelReadyResponse:
        try:
            self._check_name(request.name)
            ready = self._health.is_serving(OPEN_INFERENCE)
            if ready:
                _check_version(request.version, self._scoring.model().contract)
        except Exception as error:
            await abort(context, error)
        return open_inference_pb2.ModelReadyResponse(ready=ready)

    async def ServerMetadata(  # noqa: N802
        self, request: open_inference_pb2.ServerMetadataRequest, context: Context
    ) -> open_inference_pb2.ServerMetadataResponse:
        return self._server_metadata

    async def ModelMetadata(  # noqa: N802
        self, request: open_inference_pb2.ModelMetadataRequest, context: Context
    ) -> open_inference_pb2.ModelMetadataResponse:
        try:
            self._check_name(request.name)
            contract = self._scoring.model().contract
            _check_version(request.version, contract)
        except Exception as error:
            await abort(context, error)
        outputs = outputs_of(contract).values()
        return open_inference_pb2.ModelMetadataResponse(
            name=contract.name,
            versions=[str(contract.version)],
            platform=_PLATFORM,
            inputs=[_TensorMetadata(name=name, datatype=BYTES, shape=[ANY_SIZE]) for name in (TEXT, ID)],
            outputs=[
                _TensorMetadata(name=output.name, datatype=output.datatype, shape=output.shape(ANY_SIZE, len(contract.labels)))
                for output in outputs
            ],
        )

    async def ModelInfer(  # noqa: N802
        self, request: open_inference_pb2.ModelInferRequest, context: Context
    ) -> open_inference_pb2.ModelInferResponse:
        deadline, lane_name = deadline_and_lane(context, started := time.monotonic())
        try:
            self._check_name(request.model_name)
            contract = self._scoring.model().contract
            _check_version(request.model_version, contract)
            infer = read_request(request, self._scoring.limits)
            select(contract, infer.outputs, has_ids=infer.has_ids)
            options = infer.options
            if options.timeout_seconds is not None:
                deadline = min(deadline, started + options.timeout_seconds)
            lane = lane_of(lane_name) if options.lane is None else options.lane
            answer = await self._scoring.score(infer.paragraphs, options.policy, deadline, lane)
            result = _response(request, infer, answer)
        except Exception as error:
            await self._scoring.delay_refusal(error, deadline)
            await abort(context, error)
        if isinstance(result, open_inference_pb2.ModelInferResponse):
            self._scoring.report(answer.outcomes, answer.model.contract)
            return result
        # The paragraphs with a result are not answered either.
        self._scoring.report([result.error] * len(answer.outcomes), answer.model.contract)
        await self._scoring.delay_refusal(result.error, deadline)
        return await abort(context, result.error, prefix=prefix(result.index))

    def _check_name(self, name: str) -> None:
        if name != self._model_name:
            raise ModelNotFoundError(f"the model {shown(name)} is not served: call the model {self._model_name!r}")


def _response(
    request: open_inference_pb2.ModelInferRequest, infer: InferRequest, answer: Answer
) -> open_inference_pb2.ModelInferResponse | _Failed:
    contract = answer.model.contract
    # Again: the version may have changed after the request was read.
    _check_version(request.model_version, contract)
    outputs = select(contract, infer.outputs, has_ids=infer.has_ids)
    classified = [outcome for outcome in answer.outcomes if isinstance(outcome, Classified)]
    if len(classified) < len(answer.outcomes):
        return _first_failure(answer)
    response = open_inference_pb2.ModelInferResponse(
        model_name=contract.name, model_version=str(contract.version), id=request.id
    )
    rows = Rows.of(contract, classified, [paragraph.id for paragraph in infer.paragraphs])
    fill(response, outputs, rows, is_raw=infer.is_raw)
    return response


def _first_failure(answer: Answer) -> _Failed:
    """The first paragraph that a retry does not help, or else the first without a result."""
    failed = [_Failed(index, outcome) for index, outcome in enumerate(answer.outcomes) if not isinstance(outcome, Classified)]
    return next((failure for failure in failed if isinstance(failure.error, RequestError)), failed[0])


def _check_version(requested: str, contract: Contract) -> None:
    if requested not in {"", str(contract.version)}:
        raise ModelNotFoundError(
            f"version {shown(requested)} of the model {contract.name!r} is not served: "
            f"call version {contract.version}, or leave the version out"
        )
