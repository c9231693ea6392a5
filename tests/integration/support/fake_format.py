"""A format of Spark that is written in Python, which needs Spark 4.0."""

from collections.abc import Iterator

from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition


class FakeFormat(DataSource):
    """Returns one row with the path and the snapshot that it was asked for."""

    @classmethod
    def name(cls) -> str:
        return "snapshots"

    def schema(self) -> str:
        return "id STRING, text STRING"

    def reader(self, schema: object) -> DataSourceReader:
        options = dict(self.options)

        class Reader(DataSourceReader):
            def read(self, partition: InputPartition) -> Iterator[tuple[str, str]]:
                yield options["path"], f"Paragraph of snapshot {options['snapshot-id']}"

        return Reader()
