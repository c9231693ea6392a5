"""The REST form of the Open Inference Protocol, under /v2."""

from undertone_sidecar.open_inference.rest.routes import open_inference_routes

__all__ = ["open_inference_routes"]
