"""Collects the pairs of a comparison in constant memory, except for 16 bytes a paragraph."""

import heapq
from array import array
from collections import Counter, defaultdict

from undertone_client.values import Failure, Policy, ProblemType, Score, ServedModel

from undertone_cli.formatting import NO_LABEL
from undertone_cli.report.comparison import Flip, Shift
from undertone_cli.service_comparison.figures import ChangedParagraph, Comparison, Latency, ServiceFigures
from undertone_cli.service_comparison.pairs import Answer, Pair

MAX_PARAGRAPHS = 20
"""Changed paragraphs in the result."""
MAX_CHARACTERS = 200
"""Characters of the text of a changed paragraph."""


class ServiceTally:
    """Collects the answers of one service."""

    def __init__(self, target: str, served: ServedModel) -> None:
        self._target = target
        self._model = served.model
        self._seconds = array("d")
        self._failures: Counter[str] = Counter()
        self._tokens = 0
        self._predict_seconds = 0.0

    def add(self, answer: Answer) -> None:
        """Add an answer."""
        if isinstance(answer.outcome, Failure):
            self._failures[answer.outcome.status.name] += 1
            return
        self._seconds.append(answer.seconds)
        self._tokens += answer.outcome.tokens
        self._predict_seconds += answer.outcome.timings.predict_seconds

    def figures(self) -> ServiceFigures:
        """The figures so far."""
        scored = len(self._seconds)
        mean = self._predict_seconds / scored if scored else 0.0
        return ServiceFigures(
            self._target, self._model, scored, dict(self._failures), Latency.of(self._seconds), self._tokens, mean
        )


class Tally:
    """Collects the pairs of a comparison.

    Args:
        baseline, candidate: collect the answers of each service.
        policy: how long paragraphs are scored.
        with_text: whether the changed paragraphs of the result have the beginning of their text.
    """

    def __init__(self, baseline: ServiceTally, candidate: ServiceTally, policy: Policy, *, with_text: bool) -> None:
        self._baseline = baseline
        self._candidate = candidate
        self._policy = policy
        self._with_text = with_text
        self._compared = 0
        self._failed: Counter[tuple[bool, bool]] = Counter()
        self._flips: Counter[tuple[str, str]] = Counter()
        self._sums: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
        self._shift_sum = 0.0
        # The least changed of these paragraphs comes first. Of equal ones, the first are kept.
        self._largest: list[tuple[float, int, ChangedParagraph]] = []

    @property
    def paragraphs(self) -> int:
        """Pairs so far."""
        return self._compared + self._failed.total()

    def add(self, pair: Pair) -> None:
        """Add a pair."""
        self._baseline.add(pair.baseline)
        self._candidate.add(pair.candidate)
        before, after = pair.baseline.outcome, pair.candidate.outcome
        if isinstance(before, Score) and isinstance(after, Score):
            self._compare(pair, before, after)
        else:
            self._failed[isinstance(before, Failure), isinstance(after, Failure)] += 1

    def _compare(self, pair: Pair, before: Score, after: Score) -> None:
        self._compared += 1
        labels = labels_of(before), labels_of(after)
        self._flips[labels] += 1
        differences = []
        old, new = before.distribution, after.distribution
        for label in dict.fromkeys((*before.labels, *after.labels)):
            then, now = old.get(label, 0.0), new.get(label, 0.0)
            difference = abs(now - then)
            differences.append(difference)
            sums = self._sums[label]
            sums[0] += then
            sums[1] += now
            sums[2] += difference
        shift = distance(differences, multi_label=ProblemType.MULTI_LABEL in (before.problem_type, after.problem_type))
        self._shift_sum += shift
        entry = (shift, -pair.paragraph.ordinal)
        if shift > 0 and (len(self._largest) < MAX_PARAGRAPHS or entry > self._largest[0][:2]):
            text = (pair.paragraph.text or "")[:MAX_CHARACTERS] if self._with_text else None
            changed = ChangedParagraph(pair.paragraph.id, *labels, shift, text)
            push = heapq.heappush if len(self._largest) < MAX_PARAGRAPHS else heapq.heapreplace
            push(self._largest, (*entry, changed))

    def comparison(self) -> Comparison:
        """The comparison so far."""
        before: Counter[str] = Counter()
        for (label, _), count in self._flips.items():
            before[label] += count
        flips = [Flip(old, new, count, count / before[old]) for (old, new), count in self._flips.items() if old != new]
        shifts = [Shift(label, *(value / self._compared for value in sums)) for label, sums in self._sums.items()]
        return Comparison(
            self._baseline.figures(),
            self._candidate.figures(),
            self._policy,
            self.paragraphs,
            self._compared,
            sum(flip.paragraphs for flip in flips),
            self._failed[True, False],
            self._failed[False, True],
            self._failed[True, True],
            sorted(flips, key=lambda flip: (-flip.paragraphs, flip.before, flip.after)),
            sorted(shifts, key=lambda shift: (-shift.absolute, shift.label)),
            self._shift_sum / self._compared if self._compared else 0.0,
            [changed for _, _, changed in sorted(self._largest, reverse=True)],
        )


def labels_of(score: Score) -> str:
    """The labels of a paragraph in alphabetical order, as in the views of scores."""
    if score.problem_type is ProblemType.SINGLE_LABEL:
        return score.label
    return ", ".join(sorted(score.labels_above_threshold)) or NO_LABEL


def distance(differences: list[float], *, multi_label: bool) -> float:
    """The distance of probabilities, from 0 (equal) to 1, as in the views of scores.

    It is the total variation distance of distributions, or the largest difference of a label.
    """
    return max(differences) if multi_label else sum(differences) / 2
