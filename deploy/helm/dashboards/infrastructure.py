"""The sections about Envoy, TF Serving and Kubernetes."""

from typing import Final

from .model import Panel, Quantile, Rate, Section, Series, Source, Sum, Target, Unit, Visualization

_SIDECARS: Final = {"envoy_cluster_name": "sidecars"}

ENVOY: Final = Section(
    "Envoy",
    Source.INFRASTRUCTURE,
    (
        Panel(
            "Requests",
            "Requests of callers per second.",
            Unit.PER_SECOND,
            (
                Target(
                    Rate(Series("envoy_http_downstream_rq_total", (), {"envoy_http_conn_manager_prefix": "api"})), "requests"
                ),
            ),
        ),
        Panel(
            "Latency",
            "The time from the first byte of a request to the last byte of its response, including retries.",
            Unit.MILLISECONDS,
            tuple(
                Target(
                    Quantile(Series("envoy_http_downstream_rq_time", (), {"envoy_http_conn_manager_prefix": "api"}), quantile),
                    f"p{quantile * 100:g}",
                )
                for quantile in (0.5, 0.99)
            ),
        ),
        Panel(
            "Sidecars",
            "Sidecars by their state in Envoy, summed over the Envoy pods.",
            Unit.COUNT,
            (
                Target(Sum(Series("envoy_cluster_membership_total", (), _SIDECARS)), "total"),
                Target(Sum(Series("envoy_cluster_membership_healthy", (), _SIDECARS)), "healthy"),
                Target(Sum(Series("envoy_cluster_outlier_detection_ejections_active", (), _SIDECARS)), "ejected"),
            ),
        ),
        Panel(
            "Retries and rejections",
            "Retries, retries that exceeded the retry budget, calls that exceeded the circuit breaker limits, and calls "
            "without a healthy sidecar.",
            Unit.PER_SECOND,
            (
                Target(Rate(Series("envoy_cluster_upstream_rq_retry", (), _SIDECARS)), "retries"),
                Target(Rate(Series("envoy_cluster_upstream_rq_retry_overflow", (), _SIDECARS)), "retry budget exceeded"),
                Target(Rate(Series("envoy_cluster_upstream_rq_pending_overflow", (), _SIDECARS)), "limit exceeded"),
                Target(Rate(Series("envoy_cluster_upstream_cx_none_healthy", (), _SIDECARS)), "no healthy sidecar"),
            ),
        ),
        Panel(
            "Latency of the versions",
            "The time from a request to a sidecar to the end of its response. With a canary, the series canary has its "
            "sidecars, mirrored calls included.",
            Unit.MILLISECONDS,
            tuple(
                Target(
                    Quantile(Series("envoy_cluster_upstream_rq_time", ("envoy_cluster_name",)), quantile),
                    f"p{quantile * 100:g} {{envoy_cluster_name}}",
                )
                for quantile in (0.5, 0.99)
            ),
        ),
        Panel(
            "Connections",
            "Active connections of callers.",
            Unit.COUNT,
            (
                Target(
                    Sum(Series("envoy_http_downstream_cx_active", (), {"envoy_http_conn_manager_prefix": "api"})), "connections"
                ),
            ),
        ),
    ),
)

TF_SERVING: Final = Section(
    "TF Serving",
    Source.INFRASTRUCTURE,
    (
        Panel(
            "Requests",
            # The model name is the one in the request, which the caller chooses.
            "Answered requests per second, by status. NOT_FOUND includes requests for unknown models.",
            Unit.PER_SECOND,
            (Target(Rate(Series(":tensorflow:serving:request_count", ("status",))), "{status}"),),
            Visualization.STACK,
        ),
        Panel(
            "Latency",
            "The duration of successful requests in TF Serving. The graph alone is the computation of the model.",
            Unit.MICROSECONDS,
            (
                Target(Quantile(Series(":tensorflow:serving:request_latency", ("model_name",)), 0.5), "p50 {model_name}"),
                Target(Quantile(Series(":tensorflow:serving:request_latency", ("model_name",)), 0.99), "p99 {model_name}"),
                Target(
                    # The requests of the warm-up have no model name.
                    Quantile(
                        Series(":tensorflow:serving:runtime_latency", ("model_name",), not_equal={"model_name": ""}), 0.99
                    ),
                    "p99 of the graph {model_name}",
                ),
            ),
        ),
    ),
)

KUBERNETES: Final = Section(
    "Pods",
    Source.INFRASTRUCTURE,
    (
        Panel(
            "Autoscaler",
            "The current and the maximum number of pods of each autoscaler. Requires kube-state-metrics.",
            Unit.COUNT,
            (
                Target(
                    Sum(Series("kube_horizontalpodautoscaler_status_current_replicas", ("horizontalpodautoscaler",))),
                    "{horizontalpodautoscaler}",
                ),
                Target(
                    Sum(Series("kube_horizontalpodautoscaler_spec_max_replicas", ("horizontalpodautoscaler",))),
                    "maximum: {horizontalpodautoscaler}",
                ),
            ),
        ),
        Panel(
            "CPU of the sidecars",
            "CPUs that the processes of the sidecars use. The autoscaler uses the CPU usage of the model server, which "
            "is a metric of the kubelet.",
            Unit.COUNT,
            (Target(Rate(Series("process_cpu_seconds_total", ("pod",))), "{pod}"),),
        ),
        Panel(
            "Memory of the sidecars",
            "Resident memory of the sidecar processes.",
            Unit.BYTES,
            (Target(Sum(Series("process_resident_memory_bytes", ("pod",))), "{pod}"),),
        ),
    ),
)
