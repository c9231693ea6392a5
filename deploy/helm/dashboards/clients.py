"""The sections about clients and jobs."""

from typing import Final

from .model import Age, Panel, Quantile, Rate, Ratio, Section, Series, Source, Sum, Target, Unit, Visualization

_CLASSIFIER: Final = {"grpc_service": "undertone.v1.Classifier"}

CLIENTS: Final = Section(
    "Clients: concurrency limit, circuit breaker, retries",
    Source.PODS,
    (
        Panel(
            "Concurrency limit",
            "The concurrency limit of the clients, which they adapt to the service, and the calls in flight.",
            Unit.COUNT,
            (
                Target(Sum(Series("undertone_client_limit")), "limit"),
                Target(Sum(Series("grpc_client_in_flight", (), _CLASSIFIER)), "in flight"),
            ),
        ),
        Panel(
            "Circuit breakers",
            "Clients by the state of their circuit breaker. An open breaker lets only trial calls through.",
            Unit.COUNT,
            (Target(Sum(Series("undertone_client_breaker_state", ("state",))), "{state}"),),
            Visualization.STACK,
        ),
        Panel(
            "Attempts by code",
            "Attempts by status code, as in Table 4 of the paper. Each retry is an attempt.",
            Unit.PER_SECOND,
            (Target(Rate(Series("grpc_client_handled_total", ("grpc_code",), _CLASSIFIER)), "{grpc_code}"),),
            Visualization.STACK,
        ),
        Panel(
            "Retries, hedges, rejected attempts",
            "Retries, hedges of slow attempts, attempts that the circuit breaker rejected, and failed attempts of "
            "calls that succeeded in the end.",
            Unit.PER_SECOND,
            (
                Target(Rate(Series("undertone_client_retries_total", ("code",))), "retry after {code}"),
                Target(Rate(Series("undertone_client_hedges_total")), "hedges"),
                Target(Rate(Series("undertone_client_shed_total")), "rejected by the breaker"),
                Target(Rate(Series("undertone_client_recovered_total")), "recovered"),
            ),
        ),
        Panel(
            "Wait for the concurrency limit",
            "The time that attempts waited because the limit was reached.",
            Unit.SECONDS,
            tuple(
                Target(Quantile(Series("undertone_client_slot_wait_seconds"), quantile), f"p{quantile * 100:g}")
                for quantile in (0.5, 0.99)
            ),
        ),
        Panel(
            "Latency of attempts",
            "The duration of attempts, measured by the clients. It includes Envoy and the network.",
            Unit.SECONDS,
            tuple(
                Target(Quantile(Series("grpc_client_handling_seconds", (), _CLASSIFIER), quantile), f"p{quantile * 100:g}")
                for quantile in (0.5, 0.9, 0.99)
            ),
        ),
        Panel(
            "Paragraphs by code",
            "Paragraphs by their final status code, and skipped paragraphs.",
            Unit.PER_SECOND,
            (
                Target(Rate(Series("undertone_client_paragraphs_total", ("code",))), "{code}"),
                Target(Rate(Series("undertone_client_skipped_paragraphs_total", ("code",))), "skipped: {code}"),
            ),
        ),
    ),
)

JOBS: Final = Section(
    "Jobs",
    Source.JOBS,
    (
        Panel(
            "Paragraphs",
            "Paragraphs per second of each job, by status code, as in Figure 2 of the paper.",
            Unit.PER_SECOND,
            (Target(Rate(Series("undertone_job_paragraphs_total", ("job", "code"))), "{job} {code}"),),
            Visualization.STACK,
        ),
        Panel(
            "Progress",
            "The share of the paragraphs of a job that are finished, by status code.",
            Unit.RATIO,
            (
                Target(
                    Ratio(
                        Sum(Series("undertone_job_paragraphs_total", ("job", "code"))),
                        Sum(Series("undertone_job_expected_paragraphs", ("job",))),
                    ),
                    "{job} {code}",
                ),
            ),
            Visualization.STACK,
        ),
        Panel(
            "Time since the last success",
            "The time since the last success of each job.",
            Unit.SECONDS,
            (Target(Age(Series("undertone_job_last_success_timestamp_seconds", ("job",))), "{job}"),),
        ),
        Panel(
            "Running",
            "Jobs that run, and jobs that were killed.",
            Unit.COUNT,
            (Target(Sum(Series("undertone_job_running", ("job",))), "{job}"),),
        ),
        Panel(
            "Failures",
            "Failed runs of each job.",
            Unit.COUNT,
            (Target(Sum(Series("undertone_job_failed_total", ("job",))), "{job}"),),
        ),
    ),
)
