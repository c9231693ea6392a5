"""The sections about what is not ours: Envoy, TF Serving and Kubernetes."""

from typing import Final

from .panel import Line, Panel, Quantile, Rate, Section, Series, Shape, Source, Sum, Unit

_SIDECARS: Final = {"envoy_cluster_name": "sidecars"}

ENVOY: Final = Section(
    "Envoy",
    Source.OTHERS,
    (
        Panel(
            "Requests",
            "That callers made.",
            Unit.PER_SECOND,
            (Line(Rate(Series("envoy_http_downstream_rq_total", (), {"envoy_http_conn_manager_prefix": "api"})), "requests"),),
        ),
        Panel(
            "Latency",
            "From a request's first byte to the answer's last, retries included.",
            Unit.MILLISECONDS,
            tuple(
                Line(
                    Quantile(Series("envoy_http_downstream_rq_time", (), {"envoy_http_conn_manager_prefix": "api"}), at),
                    f"p{at * 100:g}",
                )
                for at in (0.5, 0.99)
            ),
        ),
        Panel(
            "Sidecars",
            "As Envoy sees them, of all its pods together.",
            Unit.COUNT,
            (
                Line(Sum(Series("envoy_cluster_membership_total", (), _SIDECARS)), "known"),
                Line(Sum(Series("envoy_cluster_membership_healthy", (), _SIDECARS)), "healthy"),
                Line(Sum(Series("envoy_cluster_outlier_detection_ejections_active", (), _SIDECARS)), "ejected"),
            ),
        ),
        Panel(
            "Retries and refusals",
            "Retries, and those beyond the budget; calls beyond the circuit breaker's limits, or without a sidecar to go to.",
            Unit.PER_SECOND,
            (
                Line(Rate(Series("envoy_cluster_upstream_rq_retry", (), _SIDECARS)), "retries"),
                Line(Rate(Series("envoy_cluster_upstream_rq_retry_overflow", (), _SIDECARS)), "beyond the budget"),
                Line(Rate(Series("envoy_cluster_upstream_rq_pending_overflow", (), _SIDECARS)), "beyond the limits"),
                Line(Rate(Series("envoy_cluster_upstream_cx_none_healthy", (), _SIDECARS)), "no sidecar"),
            ),
        ),
        Panel(
            "Connections",
            "Of callers.",
            Unit.COUNT,
            (
                Line(
                    Sum(Series("envoy_http_downstream_cx_active", (), {"envoy_http_conn_manager_prefix": "api"})), "connections"
                ),
            ),
        ),
    ),
)

TF_SERVING: Final = Section(
    "TF Serving",
    Source.OTHERS,
    (
        Panel(
            "Requests",
            "That were answered, by status.",
            Unit.PER_SECOND,
            (Line(Rate(Series(":tensorflow:serving:request_count", ("model_name", "status"))), "{model_name} {status}"),),
            Shape.STACK,
        ),
        Panel(
            "Latency",
            "Of requests, and of the graph alone.",
            Unit.MICROSECONDS,
            (
                Line(Quantile(Series(":tensorflow:serving:request_latency", ("model_name",)), 0.5), "p50 {model_name}"),
                Line(Quantile(Series(":tensorflow:serving:request_latency", ("model_name",)), 0.99), "p99 {model_name}"),
                Line(
                    Quantile(Series(":tensorflow:serving:runtime_latency", ("model_name",)), 0.99),
                    "p99 of the graph {model_name}",
                ),
            ),
        ),
    ),
)

KUBERNETES: Final = Section(
    "Pods",
    Source.OTHERS,
    (
        Panel(
            "Autoscaler",
            "Pods that there are, and the most that there may be (kube-state-metrics).",
            Unit.COUNT,
            (
                Line(
                    Sum(Series("kube_horizontalpodautoscaler_status_current_replicas", ("horizontalpodautoscaler",))),
                    "{horizontalpodautoscaler}",
                ),
                Line(
                    Sum(Series("kube_horizontalpodautoscaler_spec_max_replicas", ("horizontalpodautoscaler",))),
                    "most: {horizontalpodautoscaler}",
                ),
            ),
        ),
        Panel(
            "CPU of the sidecars",
            "Of their processes. The model server's, by which the autoscaler goes, is the kubelet's to tell.",
            Unit.COUNT,
            (Line(Rate(Series("process_cpu_seconds_total", ("pod",))), "{pod}"),),
        ),
        Panel(
            "Memory of the sidecars",
            "Resident.",
            Unit.BYTES,
            (Line(Sum(Series("process_resident_memory_bytes", ("pod",))), "{pod}"),),
        ),
    ),
)
