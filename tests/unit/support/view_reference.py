"""The views in plain Python: the rows that each view must return."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tests.unit.support.score_rows import LABELS, Failed, Scored

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reference:
    """The expected rows of each view."""

    scores: Sequence[Scored]
    letters: Sequence[Failed] = ()
    before: Sequence[Scored] = ()

    def rows(self, view: str) -> list[Row]:
        """The rows of a view, in any order."""
        method: Callable[[Reference], Iterable[Row]] = getattr(Reference, view)
        return list(method(self))

    @property
    def _live(self) -> list[Scored]:
        return [row for row in self.scores if not row.deleted]

    def paragraphs(self) -> Iterator[Row]:
        for row in self._live:
            second = sorted(row.known)[-2]
            runner_up = next(
                label for label, value in zip(LABELS, row.known, strict=True) if value == second and label != row.label
            )
            yield {
                **_fields(row, "id", "document", "position", "label", "labels", "label_count"),
                **_fields(row, "tokens", "truncated", "flagged", "model", "day"),
                "flags": row.flags or "",
                "text_sha256": row.text,
                "confidence": max(row.known),
                "second_label": runner_up,
                "margin": max(row.known) - second
                if row.above_threshold is None
                else min(abs(value - (1 - value)) for value in row.known),
                "entropy": _entropy(row),
                "chunks": 1,
                "scored_at": row.scored_at.replace(tzinfo=None),
            }

    def emotions_long(self) -> Iterator[Row]:
        for row in self._live:
            for emotion, probability in zip(LABELS, row.probabilities, strict=True):
                if probability is not None:
                    shared = _fields(
                        row, "id", "document", "position", "label", "label_count", "tokens", "flagged", "model", "day"
                    )
                    has_label = emotion in row.own_labels
                    yield {**shared, "emotion": emotion, "probability": probability, "has_label": has_label}

    def emotions_by_story(self) -> Iterator[Row]:
        return self._means("document")

    def emotions_by_day(self) -> Iterator[Row]:
        return self._means("day")

    def _means(self, key: str) -> Iterator[Row]:
        for group, rows in _grouped(self.emotions_long(), key, "model", "emotion").items():
            labelled, unlabelled = sum(row["has_label"] for row in rows), sum(row["label_count"] == 0 for row in rows)
            yield {
                **dict(zip((key, "model", "emotion"), group, strict=True)),
                "paragraphs": len(rows),
                "mean_probability": _mean(row["probability"] for row in rows),
                "labelled_paragraphs": labelled,
                "labelled_share": labelled / len(rows),
                "unlabelled_paragraphs": unlabelled,
                "unlabelled_share": unlabelled / len(rows),
                "flagged_paragraphs": len(rows) - len(unflagged := [row for row in rows if not row["flagged"]]),
                "unflagged_labelled_share": _mean(row["has_label"] for row in unflagged) if unflagged else None,
            }

    def arcs(self) -> Iterator[Row]:
        located = [row for row in self.emotions_long() if row["document"] is not None and row["position"] is not None]
        for group, rows in _grouped(located, "document", "model", "emotion").items():
            first, last = (choose(row["position"] for row in rows) for choose in (min, max))
            points: defaultdict[int, list[Row]] = defaultdict(list)
            for row in rows:
                points[(row["position"] - first) * 100 // (last - first + 1)].append(row)
            for point, members in points.items():
                near = [row for other, others in points.items() if abs(other - point) <= 4 for row in others]
                yield {
                    **dict(zip(("document", "model", "emotion"), group, strict=True)),
                    "point": point,
                    "position": _mean(row["position"] for row in members),
                    "paragraphs": len(members),
                    "probability": _mean(row["probability"] for row in members),
                    "smoothed": _mean(row["probability"] for row in near),
                }

    def strongest_paragraphs(self) -> Iterator[Row]:
        for rows in _grouped(self.emotions_long(), "emotion").values():
            for rank, row in enumerate(sorted(rows, key=lambda row: (-row["probability"], row["id"])), 1):
                left_out = ("day", "label_count", "flagged")
                yield {name: value for name, value in row.items() if name not in left_out} | {"rank": rank}

    def uncertain_paragraphs(self) -> Iterator[Row]:
        ranked = sorted(self.paragraphs(), key=lambda row: (row["margin"], -row["entropy"], row["id"]))
        left_out = ("label_count", "chunks", "truncated", "flags", "flagged", "scored_at", "day")
        for rank, row in enumerate(ranked, 1):
            yield {name: value for name, value in row.items() if name not in left_out} | {"rank": rank}

    def drift_by_bin(self) -> Iterator[Row]:
        live = self._live
        if not live:
            return
        last = min(row.day for row in live) + timedelta(days=6)
        measures: dict[str, Callable[[Scored], Sequence[str]]] = {
            "emotion": lambda row: row.own_labels or ("(no label)",),
            "tokens": lambda row: [length_bin(row.tokens)],
            "confidence": lambda row: [confidence_bin(max(row.known))],
        }
        for measure, bins_of in measures.items():
            members = [(row.day, each) for row in live for each in bins_of(row)]
            days, pairs = Counter(day for day, _ in members), Counter(members)
            baseline = Counter(each for day, each in members if day <= last)
            total = sum(baseline.values())
            for each in {each for _, each in members}:
                for day, size in days.items():
                    count = pairs[day, each]
                    share, expected = count / size, baseline[each] / total
                    a, b = max(share, 0.0001), max(expected, 0.0001)
                    yield {
                        "measure": measure,
                        "bin": each,
                        "day": day,
                        "paragraphs": count,
                        "share": share,
                        "baseline_share": expected,
                        "psi": (a - b) * math.log(a / b),
                        "day_paragraphs": size,
                        "baseline_paragraphs": total,
                    }

    def drift(self) -> Iterator[Row]:
        for (measure, day), bins in _grouped(self.drift_by_bin(), "measure", "day").items():
            size, total = bins[0]["day_paragraphs"], bins[0]["baseline_paragraphs"]
            psi, expected = math.fsum(row["psi"] for row in bins), (len(bins) - 1) * (1 / size + 1 / total)
            excess = psi - expected
            yield {
                "measure": measure,
                "day": day,
                "paragraphs": size,
                "baseline_paragraphs": total,
                "psi": psi,
                "expected_psi": expected,
                "drift": "strong" if excess > 0.25 else "moderate" if excess > 0.1 else "none",
            }

    def coverage(self) -> Iterator[Row]:
        live, failed = self._live, {row.id for row in self.letters}
        outdated = sum(row.id in failed for row in live)
        present = len(live) - outdated
        total = present + len(self.letters)
        yield {
            "scored": len(live),
            "unlabelled": sum(row.label_count == 0 for row in live),
            "outdated": outdated,
            "dead_letters": len(self.letters),
            "coverage": present / total if total else None,
            "deleted": len(self.scores) - len(live),
            "documents": len({row.document for row in live} - {None}),
            "truncated": sum(row.truncated for row in live),
            "flagged": sum(row.flagged for row in live),
            "tokens": sum(row.tokens for row in live),
            "first_day": min((row.day for row in live), default=None),
            "last_day": max((row.day for row in live), default=None),
        }

    def coverage_by_day(self) -> Iterator[Row]:
        failures = Counter(row.failed_at.date() if row.failed_at else None for row in self.letters)
        for day in {row.day for row in self._live} | set(failures):
            rows = [row for row in self._live if row.day == day]
            tokens = sum(row.tokens for row in rows)
            yield {
                "day": day,
                "scored": len(rows),
                "unlabelled": sum(row.label_count == 0 for row in rows),
                "dead_letters": failures[day],
                "coverage": len(rows) / (len(rows) + failures[day]),
                "truncated": sum(row.truncated for row in rows),
                "flagged": sum(row.flagged for row in rows),
                "tokens": tokens,
                "mean_tokens": tokens / len(rows) if rows else None,
                "mean_confidence": _mean(max(row.known) for row in rows) if rows else None,
            }

    def dead_letters_by_reason(self) -> Iterator[Row]:
        groups: defaultdict[tuple[str, str], list[Failed]] = defaultdict(list)
        for row in self.letters:
            groups[row.status, row.reason].append(row)
        for (status, reason), rows in groups.items():
            times = [row.failed_at.replace(tzinfo=None) for row in rows if row.failed_at]
            yield {
                "status": status,
                "reason": reason,
                "paragraphs": len(rows),
                "share": len(rows) / len(self.letters),
                "calls": sum(row.attempts for row in rows),
                "first_failed_at": min(times, default=None),
                "last_failed_at": max(times, default=None),
            }

    def _pairs(self) -> list[tuple[Scored, Scored]]:
        older = {(row.id, row.text): row for row in self.before if not row.deleted}
        return [(older[row.id, row.text], row) for row in self._live if (row.id, row.text) in older]

    def changed_paragraphs(self) -> Iterator[Row]:
        for before, after in self._pairs():
            yield {
                **_fields(after, "id", "document", "position"),
                "text_sha256": after.text,
                "labels_before": before.labels,
                "labels_after": after.labels,
                "flipped": before.labels != after.labels,
                "shift": _distance(before, after),
                "model_before": before.model,
                "model_after": after.model,
            }

    def changes(self) -> Iterator[Row]:
        rows = list(self.changed_paragraphs())
        flipped, shifts = sum(row["flipped"] for row in rows), [row["shift"] for row in rows]
        yield {
            "paragraphs_before": sum(not row.deleted for row in self.before),
            "paragraphs_after": len(self._live),
            "compared": len(rows),
            "flipped": flipped,
            "flipped_share": flipped / len(rows) if rows else None,
            "mean_shift": _mean(shifts) if rows else None,
            "largest_shift": max(shifts, default=None),
        }

    def label_flips(self) -> Iterator[Row]:
        rows = list(self.changed_paragraphs())
        before = Counter(row["labels_before"] for row in rows)
        for (old, new), members in _grouped(rows, "labels_before", "labels_after").items():
            share = len(members) / before[old]
            names = {"labels_before": old, "labels_after": new, "flipped": old != new}
            yield {**names, "paragraphs": len(members), "share_of_before": share}

    def probability_shifts(self) -> Iterator[Row]:
        pairs = self._pairs()
        for index, emotion in enumerate(LABELS):
            values = [(before.known[index], after.known[index]) for before, after in pairs]
            if values:
                yield {
                    "emotion": emotion,
                    "paragraphs": len(values),
                    "mean_before": _mean(before for before, _ in values),
                    "mean_after": _mean(after for _, after in values),
                    "mean_shift": _mean(after - before for before, after in values),
                    "mean_absolute_shift": _mean(abs(after - before) for before, after in values),
                    "largest_shift": max(abs(after - before) for before, after in values),
                    "gained": sum(emotion in after.own_labels and emotion not in before.own_labels for before, after in pairs),
                    "lost": sum(emotion in before.own_labels and emotion not in after.own_labels for before, after in pairs),
                }


def length_bin(tokens: int) -> str:
    """The bin of a number of tokens."""
    lower = 1
    for upper in (8, 16, 32, 64, 128, 256, 512):
        if tokens <= upper:
            return f"{lower} to {upper}"
        lower = upper + 1
    return "over 512"


def confidence_bin(confidence: float) -> str:
    """The bin of a highest probability."""
    tenth = min(int(confidence * 10), 9)
    return "under 0.2" if tenth < 2 else f"{tenth / 10:.1f} to {(tenth + 1) / 10:.1f}"


def assert_same_rows(found: Iterable[Row], expected: Iterable[Row]) -> None:
    """Asserts that both have the same rows in any order, with a tolerance for floating point."""
    assert sorted(map(_comparable, found), key=repr) == sorted(map(_comparable, expected), key=repr)


def _comparable(row: Row) -> list[tuple[str, object]]:
    # Numbers are rounded, and 0 and -0 are the same.
    return sorted((name, round(value, 9) + 0.0 if isinstance(value, float) else value) for name, value in row.items())


def _entropy(row: Scored) -> float:
    known = [value for value in row.probabilities if value is not None]
    if row.above_threshold is not None:
        return _mean(sum(_surprise(share) for share in (value, 1 - value)) for value in known) / math.log(2)
    return sum(map(_surprise, known)) / math.log(len(known)) if len(known) > 1 else 0.0


def _surprise(probability: float) -> float:
    return -probability * math.log(probability) if probability else 0.0


def _distance(before: Scored, after: Scored) -> float:
    differences = [abs(a - b) for a, b in zip(after.known, before.known, strict=True)]
    is_single_label = before.above_threshold is None and after.above_threshold is None
    return sum(differences) / 2 if is_single_label else max(differences)


def _fields(row: Scored, *names: str) -> Row:
    return {name: getattr(row, name) for name in names}


def _grouped(rows: Iterable[Row], *keys: str) -> dict[tuple[Any, ...], list[Row]]:
    groups: defaultdict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[key] for key in keys)].append(row)
    return groups


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return math.fsum(listed) / len(listed)
