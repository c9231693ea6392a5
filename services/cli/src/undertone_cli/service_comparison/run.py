"""One comparison, from the first calls to the figures."""

import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass

import grpc
from undertone_client import Client, Settings
from undertone_client.errors import SettingsError, UndertoneError
from undertone_client.jobs import ConnectionOptions, command_error, wait_for_service
from undertone_client.jobs.paragraph_length import is_short
from undertone_client.resilience import BreakerSettings, LimitSettings, RetryPolicy
from undertone_client.transport import Mode
from undertone_client.values import Failure, Policy, Score, ServedModel

from undertone_cli.readers import InputParagraph, InputSet, UniqueIds, read_ahead
from undertone_cli.service_comparison.figures import Comparison
from undertone_cli.service_comparison.pairs import Answer, answer_pairs
from undertone_cli.service_comparison.tally import ServiceTally, Tally

VERSION_KEY = "undertone-model"
"""Metadata key by which Envoy sends a call to one of the versions behind it."""
MAX_UNAVAILABLE = 4
"""Consecutive times `concurrency` paragraphs that one service may fail with UNAVAILABLE."""


@dataclass(frozen=True, slots=True)
class ComparedServices:
    """The two services and how they are called.

    Attributes:
        baseline, candidate: the connections.
        concurrency: paragraphs in flight, each at both services.
        attempts: attempts of a call.
        patience: seconds to wait for a service that is not there, or is overloaded.
    """

    baseline: ConnectionOptions
    candidate: ConnectionOptions
    concurrency: int
    attempts: int
    patience: float

    @property
    def candidate_version(self) -> str:
        """The version that answers for the candidate: the canary only if there is one service.

        Another service may have a canary of its own, which must not answer instead of it.
        """
        return "canary" if self.candidate.target == self.baseline.target else "baseline"

    def settings(self, connection: ConnectionOptions, version: str) -> Settings:
        """Settings of the client for one service. `version` is "baseline" or "canary".

        The calls use the batch lane, so that they do not delay readers.
        """
        return connection.settings(
            mode=Mode.BATCH,
            limit=LimitSettings.parse(str(self.concurrency)),
            retry=RetryPolicy(attempts=self.attempts),
            breaker=BreakerSettings(patience_seconds=self.patience),
            metadata=((VERSION_KEY, version),),
        )


async def compare_services(
    services: ComparedServices,
    inputs: InputSet,
    policy: Policy,
    *,
    report: Callable[[str], None],
    on_pair: Callable[[int], None],
    with_text: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Comparison:
    """Send every paragraph of the inputs to both services, and compare the answers.

    Args:
        services: the services.
        inputs: paragraphs without a text, or with fewer characters than the minimum, are skipped.
        policy: how long paragraphs are scored.
        report: receives a line that says what the comparison waits for, or a warning.
        on_pair: called with the number of answered paragraphs.
        with_text: whether the most changed paragraphs have the beginning of their text.
        clock: a monotonic clock, in seconds.

    Raises:
        InputError: an input cannot be read.
        SettingsError: both addresses lead to the same model.
        CommandError: a service cannot be used. The message names it.
    """
    async with AsyncExitStack() as stack:
        baseline = await _contact(stack, services, services.baseline, "baseline", report)
        candidate = await _contact(stack, services, services.candidate, services.candidate_version, report)
        _check_models(baseline, candidate, report=report)
        tally = Tally(baseline.tally, candidate.tally, policy, with_text=with_text)
        ids = stack.enter_context(UniqueIds()) if inputs.options.id_column is not None else None
        source = await stack.enter_async_context(read_ahead(_to_send(inputs, ids), lambda each: len(each.text or "")))
        pairs = answer_pairs(source, baseline.client, candidate.client, policy, concurrency=services.concurrency, clock=clock)
        async with aclosing(pairs):
            async for pair in pairs:
                baseline.check(pair.baseline)
                candidate.check(pair.candidate)
                tally.add(pair)
                on_pair(tally.paragraphs)
    return tally.comparison()


async def _contact(
    stack: AsyncExitStack,
    services: ComparedServices,
    connection: ConnectionOptions,
    version: str,
    report: Callable[[str], None],
) -> "_Service":
    option = "--baseline" if connection is services.baseline else "--candidate"
    settings = services.settings(connection, version)
    try:
        served = await wait_for_service(connection.target, settings, report)
        client = await stack.enter_async_context(Client(connection.target, settings=settings))
    except UndertoneError as error:
        raise command_error(error, connection.target, option=option) from None
    return _Service(connection.target, option, served, client, MAX_UNAVAILABLE * services.concurrency)


def _check_models(baseline: "_Service", candidate: "_Service", *, report: Callable[[str], None]) -> None:
    model = baseline.served.model
    if baseline.served.contract != candidate.served.contract:
        return
    if baseline.target == candidate.target:
        raise SettingsError(
            f"{baseline.target} answers both --baseline and --candidate with {model}: enable the canary of the chart "
            "(canary.enabled), or name two services"
        )
    report(f"both services serve {model}: the comparison shows the differences of the services alone")


def _to_send(inputs: InputSet, ids: UniqueIds | None) -> Iterator[InputParagraph]:
    for paragraph in inputs.paragraphs(ids):
        if paragraph.text is not None and not is_short(paragraph.text, inputs.options.min_characters):
            yield paragraph


class _Service:
    """One of the services. Ends the comparison when it stopped answering, or changed its model.

    Args:
        target: its address.
        option: the option with the address.
        served: its model.
        client: an open client.
        max_unavailable: consecutive paragraphs that may fail with UNAVAILABLE.
    """

    def __init__(self, target: str, option: str, served: ServedModel, client: Client, max_unavailable: int) -> None:
        self.target = target
        self._option = option
        self.served = served
        self.client = client
        self.tally = ServiceTally(target, served)
        self._max_unavailable = max_unavailable
        self._unavailable = 0

    def check(self, answer: Answer) -> None:
        """Check an answer.

        Raises:
            SettingsError: the model changed.
            CommandError: the service stopped answering.
        """
        outcome = answer.outcome
        if isinstance(outcome, Failure) and outcome.status is grpc.StatusCode.UNAVAILABLE:
            self._unavailable += 1
            if self._unavailable >= self._max_unavailable:
                raise command_error(outcome.error(), self.target, option=self._option)
            return
        self._unavailable = 0
        if isinstance(outcome, Score) and outcome.model != self.served.model:
            raise SettingsError(
                f"{self.target} changed its model from {self.served.model} to {outcome.model} during the comparison: repeat it"
            )
