"""How Undertone is seen: gRPC calls observed, and their metrics, traces and logs."""
