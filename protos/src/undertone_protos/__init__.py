"""Stubs of Undertone's API, generated from protos/undertone/, and client stubs of TF Serving."""

from undertone_protos.tf_serving import ModelServiceStub, PredictionServiceStub

__all__ = ["ModelServiceStub", "PredictionServiceStub"]
