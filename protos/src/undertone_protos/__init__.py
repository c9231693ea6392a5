"""Stubs of Undertone's contracts, generated from protos/undertone/, and the client of TF Serving's API."""

from undertone_protos.tf_serving import ModelServiceStub, PredictionServiceStub

__all__ = ["ModelServiceStub", "PredictionServiceStub"]
