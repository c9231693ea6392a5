"""The Open Inference Protocol, version 2, for clients of KServe, Triton and MLServer."""

from undertone_sidecar.open_inference.servicer import OpenInferenceServicer

__all__ = ["OpenInferenceServicer"]
