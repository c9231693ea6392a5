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
            "The sum of the clients' concurrency limits, and their calls in flight. Each client adapts its limit.",
            Unit.COUNT,
            (
                Target(Sum(Series("undertone_client_limit")), "limit"),
                Target(Sum(Series("grpc_client_in_flight", (), _CLASSIFIER)), "in flight"),
            ),
        ),
        Panel(
            "Circuit breakers",
            "The number of clients in each state of the circuit breaker. An open breaker lets only trial calls through.",
            Unit.COUNT,
            (Target(Sum(Series("undertone_client_breaker_state", ("state",))), "{state}"),),
            Visualization.STACK,
        ),
        Panel(
            "Attempts by code",
            "Attempts per second, by status code. Each retry is an attempt. Table 4 in docs/explanation/paper.md shows "
            "the same.",
            Unit.PER_SECOND,
            (Target(Rate(Series("grpc_client_handled_total", ("grpc_code",), _CLASSIFIER)), "{grpc_code}"),),
            Visualization.STACK,
        ),
        Panel(
            "Retries, hedges, rejected attempts",
            "Retries, hedges (second attempts in parallel to slow ones), attempts that the circuit breaker rejected, and "
            "failed attempts of calls that succeeded later (recovered).",
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
            "Paragraphs per second, by their final status code. Skipped paragraphs have no score.",
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
            "Paragraphs per second of each job, by status code. Figure 2 in docs/explanation/paper.md shows the same.",
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
            "Backlog",
            "The paragraphs that each job has not finished, and their estimated tokens.",
            Unit.COUNT,
            (
                Target(Sum(Series("undertone_job_backlog_paragraphs", ("job",))), "{job} paragraphs"),
                Target(Sum(Series("undertone_job_backlog_tokens", ("job",))), "{job} tokens"),
            ),
        ),
        Panel(
            "Time since the last success",
            "The time since the last success of each job.",
            Unit.SECONDS,
            (Target(Age(Series("undertone_job_last_success_timestamp_seconds", ("job",))), "{job}"),),
        ),
        Panel(
            "Running",
            "1 while a job runs, 0 after its end. A killed job cannot report its end, so its value stays 1.",
            Unit.COUNT,
            (Target(Sum(Series("undertone_job_running", ("job",))), "{job}"),),
        ),
        Panel(
            "Failures",
            "The number of failed runs of each job.",
            Unit.COUNT,
            (Target(Sum(Series("undertone_job_failed_total", ("job",))), "{job}"),),
        ),
    ),
)
