"""Client stubs of TF Serving's two services, with our wire-compatible messages.

The official stubs are in tensorflow-serving-api, which imports all of TensorFlow. The messages of
undertone.tfserving.v1 have a different package name but the same encoding, so only the method paths
must be those of TF Serving.
"""

from typing import Final

import grpc.aio

from undertone_protos.tfserving.v1 import predict_pb2

PREDICT: Final = "/tensorflow.serving.PredictionService/Predict"
GET_MODEL_METADATA: Final = "/tensorflow.serving.PredictionService/GetModelMetadata"
GET_MODEL_STATUS: Final = "/tensorflow.serving.ModelService/GetModelStatus"


class PredictionServiceStub:
    """Client of tensorflow.serving.PredictionService on an asyncio channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.Predict: grpc.aio.UnaryUnaryMultiCallable[predict_pb2.PredictRequest, predict_pb2.PredictResponse]
        self.Predict = channel.unary_unary(
            PREDICT,
            request_serializer=predict_pb2.PredictRequest.SerializeToString,
            response_deserializer=predict_pb2.PredictResponse.FromString,
        )
        self.GetModelMetadata: grpc.aio.UnaryUnaryMultiCallable[
            predict_pb2.GetModelMetadataRequest, predict_pb2.GetModelMetadataResponse
        ]
        self.GetModelMetadata = channel.unary_unary(
            GET_MODEL_METADATA,
            request_serializer=predict_pb2.GetModelMetadataRequest.SerializeToString,
            response_deserializer=predict_pb2.GetModelMetadataResponse.FromString,
        )


class ModelServiceStub:
    """Client of tensorflow.serving.ModelService on an asyncio channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.GetModelStatus: grpc.aio.UnaryUnaryMultiCallable[
            predict_pb2.GetModelStatusRequest, predict_pb2.GetModelStatusResponse
        ]
        self.GetModelStatus = channel.unary_unary(
            GET_MODEL_STATUS,
            request_serializer=predict_pb2.GetModelStatusRequest.SerializeToString,
            response_deserializer=predict_pb2.GetModelStatusResponse.FromString,
        )
