"""The model, workload and number of rounds of a measurement."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from undertone_bench.models import BenchModel
from undertone_bench.report import NO_CONDITIONS, Figure, Plot, Report, Table
from undertone_bench.workload import Corpus, LengthDistribution, Paragraph, TextFile


@dataclass(frozen=True, slots=True)
class Experiment:
    """Options that every measurement of a pod shares.

    `sidecar_flags` are passed to the sidecar in addition to the pod's defaults.
    """

    model: BenchModel
    distribution: LengthDistribution
    source: Corpus | TextFile
    rounds: int
    sidecar_flags: tuple[str, ...] = ()

    @classmethod
    def create(cls, model: BenchModel, texts: Path | None, rounds: int, sidecar_flags: Sequence[str] = ()) -> Self:
        """Use the paragraphs of the file `texts`, or paragraphs with the paper's lengths."""
        if texts is None:
            source = Corpus.read(model.tokenizer)
            return cls(model, LengthDistribution.paper(), source, rounds, tuple(sidecar_flags))
        file = TextFile.read(model.tokenizer, texts)
        return cls(model, file.distribution, file, rounds, tuple(sidecar_flags))

    def paragraphs(self, count: int, seed: int = 7) -> list[Paragraph]:
        """`count` paragraphs whose lengths follow the distribution."""
        return self.source.paragraphs(self.distribution.sample(count, seed))

    def report(
        self,
        benchmark: str,
        *,
        table: Table,
        figures: Iterable[Figure] = (),
        plot: Plot | None = None,
        samples: Iterable[Any] = (),
        notes: Iterable[str] = (),
        conditions: Mapping[str, Any] = NO_CONDITIONS,
    ) -> Report:
        """A report about this model; see `Report.new`."""
        subject = self.model.label
        return Report.new(
            benchmark,
            subject,
            table=table,
            figures=figures,
            plot=plot,
            samples=samples,
            notes=notes,
            conditions=conditions,
        )
