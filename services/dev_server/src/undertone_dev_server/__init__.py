"""Development server: TF Serving's gRPC API for one SavedModel, for machines without containers."""
