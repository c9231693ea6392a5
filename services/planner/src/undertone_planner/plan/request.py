"""What the user asks for: lengths, load and settings, from the values of the options."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from undertone_cli.readers import ReadOptions, find_inputs

from undertone_planner.errors import PlannerError
from undertone_planner.plan.chart_values import ChartValues
from undertone_planner.plan.lengths import Chunking, Lengths
from undertone_planner.plan.lengths_file import estimated_tokens, measure_lengths, read_lengths, tokenizer_counter
from undertone_planner.plan.load import Batch, Load, Readers
from undertone_planner.plan.named_calibration import NamedCalibration
from undertone_planner.plan.node_types import NodeType, NodeTypes
from undertone_planner.plan.plan import Setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """Where the lengths of the paragraphs come from: inputs, a histogram, or else the paper."""

    inputs: tuple[str, ...]
    read: ReadOptions
    lengths: Path | None
    tokenizer: Path | None

    def measure(self) -> tuple[Lengths, str]:
        """The lengths, and how they were found.

        Raises:
            PlannerError: Both inputs and a histogram are given, or one of them cannot be read.
            InputError: An input cannot be read.
        """
        if self.inputs and self.lengths is not None:
            raise PlannerError("--lengths and an INPUT are given: use one of them")
        if self.lengths is not None:
            lengths, source = read_lengths(self.lengths), str(self.lengths)
        elif self.inputs:
            count = estimated_tokens if self.tokenizer is None else tokenizer_counter(self.tokenizer)
            lengths = measure_lengths(self._texts(), count)
            source = "tokens estimated from characters" if self.tokenizer is None else f"tokens counted with {self.tokenizer}"
        else:
            lengths, source = Lengths.paper(), "the lengths of the paper"
        return lengths, f"{lengths.mean:,.0f} tokens on average, 95 % have at most {lengths.quantile(0.95):,} ({source})"

    def _texts(self) -> Iterator[str]:
        least = self.read.min_characters
        for paragraph in find_inputs(self.inputs, self.read).paragraphs():
            if paragraph.text is not None and len(paragraph.text.strip()) >= max(1, least):
                yield paragraph.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """The batch, the readers, or both. None is not asked for."""

    paragraphs: int | None
    within: float | None
    headroom: float
    clients: int | None
    max_in_flight: int
    batch_items: int
    readers_per_second: float | None
    p99: float | None
    max_tokens: int

    def load(self, lengths: Lengths, *, counted: bool) -> Load:
        """The load of these paragraphs. If they are `counted`, the batch scores them once.

        Raises:
            PlannerError: An option lacks the one that belongs to it, or there is no load.
        """
        for option, value in (
            ("--readers-per-second", self.readers_per_second),
            ("--p99", self.p99),
            ("--headroom", self.headroom),
        ):
            if value is not None and math.isinf(value):
                raise PlannerError(f"{option} is infinite: use a finite number")
        paragraphs = self.paragraphs or (lengths.paragraphs if counted and self.within is not None else None)
        if (paragraphs is None) != (self.within is None):
            missing, given = ("--within", "--paragraphs") if self.within is None else ("--paragraphs", "--within")
            example = "--within 96h" if self.within is None else "--paragraphs 95_000_000, an INPUT or --lengths"
            raise PlannerError(f"{given} needs {missing}: add {example}")
        if (self.readers_per_second is None) != (self.p99 is None):
            missing, given = ("--p99", "--readers-per-second") if self.p99 is None else ("--readers-per-second", "--p99")
            raise PlannerError(f"{given} needs {missing}: add {missing} {0.3 if self.p99 is None else 40}")
        if paragraphs is None and self.readers_per_second is None:
            raise PlannerError(
                "there is no load: add --paragraphs N --within DURATION, --readers-per-second R --p99 SECONDS, or both"
            )
        batch = readers = None
        if paragraphs is not None and self.within is not None:
            batch = Batch(
                paragraphs=paragraphs,
                within_seconds=self.within,
                headroom=self.headroom / 100,
                clients=self.clients,
                max_in_flight=self.max_in_flight,
                call_paragraphs=self.batch_items,
            )
        if self.readers_per_second is not None and self.p99 is not None:
            readers = Readers(per_second=self.readers_per_second, p99_seconds=self.p99)
        return Load(lengths=lengths.computed(Chunking(self.max_tokens)), batch=batch, readers=readers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where the fleet may run. The plan has the first calibration and the first node type."""

    calibrations: tuple[str, ...]
    calibrated_on: str | None
    node_types: tuple[str, ...]
    node_types_file: Path | None
    values: Path | None
    pod_cores: int | None
    precision: str | None
    spot: bool
    max_nodes: int | None

    def types(self) -> NodeTypes:
        """The table of node types. Raises NodeTypesError."""
        return NodeTypes.read(self.node_types_file)

    def settings(self, types: NodeTypes) -> Sequence[tuple[Setting, NamedCalibration]]:
        """Each calibration on each node type.

        Raises:
            PlannerError: A calibration, a node type or the values cannot be read.
        """
        values = ChartValues.read(self.values) if self.values else ChartValues()
        if self.calibrated_on is not None:
            types.find(self.calibrated_on)
        nodes = [types.find(name) for name in self.node_types]
        found = []
        for calibration in map(NamedCalibration.find, self.calibrations):
            reference = self._reference(calibration, types)
            for node in nodes:
                sized = values.with_cores(self.pod_cores, node.threads_per_core) if self.pod_cores else values
                setting = Setting(
                    node=node,
                    values=sized,
                    calibration=calibration.calibration,
                    calibration_name=calibration.name,
                    reference=reference,
                    precision=self._precision(node, values, calibration),
                    spot=self.spot,
                    max_nodes=self.max_nodes,
                )
                found.append((setting, calibration))
        return found

    def _reference(self, calibration: NamedCalibration, types: NodeTypes) -> float:
        """Speed of a core of the calibration's machine; see `PodSpeed.on`."""
        precision = calibration.calibration.precision
        if calibration.measured_on is not None:
            return NodeTypes.read().find(calibration.measured_on).core_speed(precision)
        if self.calibrated_on is not None:
            speed = types.find(self.calibrated_on).core_speed(precision)
            if speed <= 0:
                raise PlannerError(
                    f"{calibration.name} is in {precision}, which --calibrated-on {self.calibrated_on} does not support: name "
                    "the node type on which it was measured"
                )
            return speed
        if precision != "fp32":
            raise PlannerError(
                f"{calibration.name} is in {precision}: add --calibrated-on with the node type on which it was measured"
            )
        return 1.0

    def _precision(self, node: NodeType, values: ChartValues, calibration: NamedCalibration) -> str:
        """As asked for, else that of the calibration if the node type supports it."""
        if self.precision or values.precision != "auto":
            return self.precision or values.precision
        measured = calibration.calibration.precision
        return measured if node.core_speed(measured) > 0 else "fp32"
