"""TF Serving's gRPC API over SavedModels, for machines without containers."""
