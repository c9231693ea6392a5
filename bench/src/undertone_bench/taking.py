"""What all scenarios share: the model, the paragraphs, and how a report is begun and ended."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from undertone_bench.lengths import Histogram
from undertone_bench.machine import Environment
from undertone_bench.paragraphs import Corpus, Paragraph, Texts
from undertone_bench.report import Figure, Plot, Report, Table
from undertone_bench.served import ServedModel


@dataclass(frozen=True, slots=True)
class Taking:
    """One run of a scenario. `flags` are more for the sidecar; `command` is how to run it again."""

    model: ServedModel
    histogram: Histogram
    source: Corpus | Texts
    rounds: int
    command: str
    flags: tuple[str, ...] = ()

    @classmethod
    def of(cls, model: ServedModel, texts: Path | None, rounds: int, command: str, flags: Sequence[str]) -> Self:
        """With the paragraphs of the file `texts`, or with made ones of the published lengths."""
        if texts is None:
            return cls(model, Histogram.published(), Corpus.read(model.tokenizer), rounds, command, tuple(flags))
        source = Texts.read(model.tokenizer, texts)
        return cls(model, source.histogram, source, rounds, command, tuple(flags))

    def paragraphs(self, count: int, seed: int = 7) -> list[Paragraph]:
        """So many of the histogram's lengths."""
        return self.source.paragraphs(self.histogram.sample(count, seed))

    def path(self, folder: Path, scenario: str) -> Path:
        """Where a report of this scenario and model is kept."""
        return folder / f"{scenario}-{self.model.label}.json"

    def report(
        self,
        scenario: str,
        *,
        table: Table,
        figures: Iterable[Figure],
        plot: Plot,
        raw: Iterable[Any],
        notes: Iterable[str] = (),
    ) -> Report:
        """Of what was measured; `raw` are dataclasses or mappings."""
        return Report(
            scenario=scenario,
            model=self.model.label,
            command=self.command,
            taken=datetime.now(UTC).strftime("%Y-%m-%d"),
            environment=Environment.read(),
            notes=tuple(notes),
            table=table,
            figures=tuple(figures),
            plot=plot,
            raw=tuple(_record(one) for one in raw),
        )


def _record(one: Any) -> Mapping[str, Any]:
    return asdict(one) if is_dataclass(one) and not isinstance(one, type) else dict(one)
