"""The sections about calls, queue, batches and model of the sidecars."""

from typing import Final

from .model import Mean, Panel, Quantile, Rate, Ratio, Section, Series, Source, Sum, Target, Unit, Visualization

_HEALTH: Final = {"grpc_service": "grpc.health.v1.Health"}
"""Not a service that scores paragraphs."""

_MODEL_SERVER: Final = {"grpc_service": "tensorflow.serving.PredictionService"}


def _quantiles(
    metric: str, by: tuple[str, ...] = (), where: dict[str, str] | None = None, without: dict[str, str] | None = None
) -> tuple[Target, ...]:
    suffix = "".join(f" {{{label}}}" for label in by)
    return tuple(
        Target(Quantile(Series(metric, by, where or {}, without or {}), quantile), f"p{quantile * 100:g}{suffix}")
        for quantile in (0.5, 0.9, 0.99)
    )


CALLS: Final = Section(
    "Calls",
    Source.PODS,
    (
        Panel(
            "Scored paragraphs",
            "Paragraphs with scores per second, of all pods.",
            Unit.PER_SECOND,
            (Target(Rate(Series("undertone_paragraphs_total", equal={"code": "OK"})), "scored"),),
            Visualization.STAT,
        ),
        Panel(
            "Failed paragraphs",
            "The share of paragraphs that have no scores. Includes paragraphs of invalid requests.",
            Unit.RATIO,
            (
                Target(
                    Ratio(
                        Rate(Series("undertone_paragraphs_total", not_equal={"code": "OK"})),
                        Rate(Series("undertone_paragraphs_total")),
                    ),
                    "failed",
                ),
            ),
            Visualization.STAT,
        ),
        Panel(
            "Ready pods",
            "Pods with a loaded and warmed-up model.",
            Unit.COUNT,
            (Target(Sum(Series("undertone_ready")), "ready"),),
            Visualization.STAT,
        ),
        Panel(
            "Calls in flight",
            "Calls that have no response yet.",
            Unit.COUNT,
            (Target(Sum(Series("grpc_server_in_flight", ("grpc_method",), not_equal=_HEALTH)), "{grpc_method}"),),
            Visualization.STACK,
        ),
        Panel(
            "Calls by method",
            "Finished calls per second.",
            Unit.PER_SECOND,
            (Target(Rate(Series("grpc_server_handled_total", ("grpc_method",), not_equal=_HEALTH)), "{grpc_method}"),),
            Visualization.STACK,
        ),
        Panel(
            "Errors by code",
            "Calls with a status other than OK. INVALID_ARGUMENT is an error of the caller, RESOURCE_EXHAUSTED is overload.",
            Unit.PER_SECOND,
            (
                Target(
                    Rate(Series("grpc_server_handled_total", ("grpc_code",), not_equal=_HEALTH | {"grpc_code": "OK"})),
                    "{grpc_code}",
                ),
            ),
            Visualization.STACK,
        ),
        Panel(
            "Paragraphs by code",
            "Finished paragraphs by their own status. A call with many paragraphs succeeds even if some of them fail.",
            Unit.PER_SECOND,
            (Target(Rate(Series("undertone_paragraphs_total", ("code",))), "{code}"),),
            Visualization.STACK,
        ),
        Panel(
            "Latency",
            "The time from the receipt of a request to its status, measured by the sidecar.",
            Unit.SECONDS,
            _quantiles("grpc_server_handling_seconds", ("grpc_method",), without=_HEALTH),
        ),
        Panel(
            "Remaining deadline at arrival",
            "The remaining time of calls with a deadline. If it is close to the latency, calls are rejected or time out.",
            Unit.SECONDS,
            tuple(
                Target(
                    Quantile(Series("grpc_server_deadline_left_seconds", ("grpc_method",), not_equal=_HEALTH), quantile),
                    f"p{quantile * 100:g} {{grpc_method}}",
                )
                for quantile in (0.1, 0.5)
            ),
        ),
        Panel(
            "Message size",
            "The mean size of requests and responses.",
            Unit.BYTES,
            (
                Target(Mean(Series("grpc_server_request_bytes", ("grpc_method",), not_equal=_HEALTH)), "request {grpc_method}"),
                Target(
                    Mean(Series("grpc_server_response_bytes", ("grpc_method",), not_equal=_HEALTH)), "response {grpc_method}"
                ),
            ),
        ),
    ),
)

LANES: Final = Section(
    "Queue, lanes and load shedding",
    Source.PODS,
    (
        Panel(
            "Queue time",
            "The time that sequences wait for the model server.",
            Unit.SECONDS,
            _quantiles("undertone_queue_seconds", ("lane",)),
        ),
        Panel(
            "Work by lane",
            "Sequences sent to the model server per second.",
            Unit.PER_SECOND,
            (Target(Rate(Series("undertone_queue_seconds_count", ("lane",))), "{lane}"),),
            Visualization.STACK,
        ),
        Panel(
            "Rejected paragraphs",
            "Paragraphs that were rejected because the queue was full or the deadline could not be met. Rejections "
            "of the batch lane slow jobs down.",
            Unit.PER_SECOND,
            (Target(Rate(Series("undertone_shed_paragraphs_total", ("lane", "reason"))), "{lane} {reason}"),),
            Visualization.STACK,
        ),
        Panel(
            "Dropped sequences",
            "Sequences that were cancelled, or whose deadline passed, before they were sent to the model server.",
            Unit.PER_SECOND,
            (Target(Rate(Series("undertone_dropped_sequences_total", ("lane", "reason"))), "{lane} {reason}"),),
            Visualization.STACK,
        ),
        Panel(
            "Answer cache",
            "The share of paragraphs that were answered from the memory of a sidecar, from Redis, or by the calculation of an "
            "equal text at the same time. Empty without an answer cache.",
            Unit.RATIO,
            (
                *(
                    Target(
                        Ratio(
                            Rate(Series("undertone_cache_paragraphs_total", equal={"result": "hit", "tier": tier})),
                            Rate(Series("undertone_paragraphs_total")),
                        ),
                        tier,
                    )
                    for tier in ("memory", "redis")
                ),
                Target(
                    Ratio(Rate(Series("undertone_shared_paragraphs_total")), Rate(Series("undertone_paragraphs_total"))),
                    "calculated once",
                ),
            ),
        ),
        Panel(
            "Time of Redis",
            "The time of the commands of the answer cache. A call waits 5 ms at most. Empty without --cache-redis.",
            Unit.SECONDS,
            _quantiles("undertone_cache_seconds", ("operation",)),
        ),
        Panel(
            "Failures of Redis",
            "Commands of the answer cache that failed, or were not sent after failures. They fail no call.",
            Unit.PER_SECOND,
            (Target(Rate(Series("undertone_cache_errors_total", ("operation", "reason"))), "{operation} {reason}"),),
            Visualization.STACK,
        ),
        Panel(
            "Tokenization time",
            "The time to tokenize the paragraphs of a request, including the wait for a thread.",
            Unit.SECONDS,
            _quantiles("undertone_tokenize_seconds"),
        ),
        Panel(
            "Long paragraphs",
            "Paragraphs that were truncated or split into chunks, and the number of chunks.",
            Unit.PER_SECOND,
            (
                Target(Rate(Series("undertone_truncated_paragraphs_total")), "truncated"),
                Target(Rate(Series("undertone_chunked_paragraphs_total")), "chunked"),
                Target(Rate(Series("undertone_chunks_total")), "chunks"),
            ),
        ),
        Panel(
            "Flagged paragraphs",
            "Scored paragraphs whose result is not reliable: foreign languages and unreadable texts.",
            Unit.PER_SECOND,
            (Target(Rate(Series("undertone_flagged_paragraphs_total", ("flag",))), "{flag}"),),
        ),
    ),
)

BATCHES: Final = Section(
    "Batches and padding",
    Source.PODS,
    (
        Panel(
            "Padding",
            "The ratio of padding to all tokens that the model computes. With full batches it is 8 % or less.",
            Unit.RATIO,
            (
                Target(
                    Ratio(
                        Rate(Series("undertone_tokens_total", equal={"kind": "padding"})),
                        Rate(Series("undertone_tokens_total")),
                    ),
                    "padding",
                ),
                Target(Quantile(Series("undertone_batch_padding_ratio"), 0.9), "p90 of batches"),
            ),
        ),
        Panel(
            "Tokens",
            "Computed tokens per second.",
            Unit.PER_SECOND,
            (Target(Rate(Series("undertone_tokens_total", ("kind",))), "{kind}"),),
            Visualization.STACK,
        ),
        Panel(
            "Batches",
            "Batches sent to the model server per second. Prefetched batches were built while the model server was busy.",
            Unit.PER_SECOND,
            (Target(Rate(Series("undertone_batches_total", ("lane", "prefetched"))), "{lane} prefetched={prefetched}"),),
            Visualization.STACK,
        ),
        Panel(
            "Sequences in a batch",
            "The number of sequences of each Predict call.",
            Unit.COUNT,
            _quantiles("undertone_batch_items"),
        ),
        Panel(
            "Tokens in a batch",
            "The tokens of each Predict call, including padding. --batch-tokens is the limit.",
            Unit.COUNT,
            _quantiles("undertone_batch_tokens"),
        ),
        Panel(
            "Model server latency",
            "The duration of Predict calls.",
            Unit.SECONDS,
            _quantiles("grpc_client_handling_seconds", (), _MODEL_SERVER),
        ),
        Panel(
            "Model server status codes",
            "Finished Predict calls per second, by status code.",
            Unit.PER_SECOND,
            (Target(Rate(Series("grpc_client_handled_total", ("grpc_code",), _MODEL_SERVER)), "{grpc_code}"),),
            Visualization.STACK,
        ),
        Panel(
            "Model server calls in flight",
            "Predict calls without a response yet. The limit of each pod is its number of concurrent calls (--model-calls).",
            Unit.COUNT,
            (Target(Sum(Series("grpc_client_in_flight", (), _MODEL_SERVER)), "in flight"),),
        ),
    ),
)

MODEL: Final = Section(
    "Model",
    Source.PODS,
    (
        Panel(
            "Models served",
            "Pods by the model that they serve. More than one row is an error, except with a canary and during a rollout.",
            Unit.COUNT,
            (Target(Sum(Series("undertone_model_info", ("name", "version", "precision"))), "{name} {version} {precision}"),),
            Visualization.TABLE,
        ),
        Panel(
            "Labels by version",
            "The share of each label in the labels of all scored paragraphs, by model version. With a canary, it compares the "
            "versions on live traffic.",
            Unit.RATIO,
            (
                Target(
                    Ratio(
                        Rate(Series("undertone_labels_total", ("version", "label"))),
                        Rate(Series("undertone_labels_total", ("version",))),
                    ),
                    "{label} {version}",
                ),
            ),
        ),
        Panel(
            "Model mismatches",
            "Pods that found a newer version and cannot serve it.",
            Unit.COUNT,
            (Target(Sum(Series("undertone_model_mismatch")), "pods"),),
            Visualization.STAT,
        ),
        Panel(
            "Lost telemetry",
            "Measurements that a telemetry adapter could not send. Serving is not affected.",
            Unit.PER_SECOND,
            (Target(Rate(Series("undertone_telemetry_errors_total", ("adapter",))), "{adapter}"),),
        ),
    ),
)
