"""The parts that are being filled: opened as the input reaches them, closed as their last outcome comes."""

from undertone_client.jobs import OutputError

from undertone_cli.job.answers import Answer
from undertone_cli.job.failures import FailureListing
from undertone_cli.job.folder import OutputFolder
from undertone_cli.job.part import Part
from undertone_cli.job.shard import Shards
from undertone_cli.job.table import ScoresTable
from undertone_cli.sources import Item


class Parts:
    """All parts of a run, of which only the few are in memory that have paragraphs in flight."""

    def __init__(
        self, folder: OutputFolder, table: ScoresTable, listing: FailureListing, shards: Shards, rows_per_part: int
    ) -> None:
        self._folder = folder
        self._table = table
        self._listing = listing
        self._shards = shards
        self._rows_per_part = rows_per_part
        self._open: dict[int, Part] = {}
        self._filling: int | None = None  # the part that further paragraphs may come for
        self._reached = 0  # parts that are open or closed, or were passed over

    def enter(self, item: Item) -> tuple[Part, Answer | None]:
        """The part that a paragraph belongs to, and its score of an earlier run, if there is one.

        Raises:
            OutputError: the earlier score belongs to another text, or a part is damaged.
        """
        number = item.ordinal // self._rows_per_part
        if number != self._filling:
            self._start(number)
        part = self._open[number]
        return part, part.enter(item)

    def close_settled(self) -> None:
        """Write out the parts that are complete."""
        for number in [number for number, part in self._open.items() if part.settled and number != self._filling]:
            part = self._open[number]
            part.close()
            del self._open[number]
            self._shards.update(part.shard(complete=True))
            self._listing.add(number, part.failures())

    def save(self) -> None:
        """Write what is known of the parts that are not complete."""
        for part in self._open.values():
            part.save()
            self._shards.update(part.shard(complete=False))

    def end(self, paragraphs: int) -> None:
        """The input has ended after so many paragraphs, and every outcome has come: write the last part.

        Raises:
            OutputError: the folder has parts that the input does not reach.
        """
        parts = max(1, -(-paragraphs // self._rows_per_part))
        if paragraphs == 0:
            self._start(0)  # a table without rows, rather than none
        self._filling = None
        self.close_settled()
        self._pass_over(parts)
        if len(self._folder.parts()) > parts:
            beyond = self._folder.part(parts)
            raise OutputError(f"the input ends before {beyond}: it has changed since; start anew with --overwrite")
        self._listing.publish()

    def abandon(self) -> None:
        """The run ends early: write what is known."""
        self.save()
        for number, part in self._open.items():
            self._listing.add(number, part.failures())

    def _start(self, number: int) -> None:
        self._pass_over(number)
        self._open[number] = Part(number, self._folder, self._table)
        self._filling = number
        self._reached = number + 1
        self.close_settled()

    def _pass_over(self, number: int) -> None:
        for untouched in range(self._reached, number):
            self._listing.add(untouched, [])
        self._reached = max(self._reached, number)
