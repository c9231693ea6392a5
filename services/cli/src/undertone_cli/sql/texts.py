"""Texts of the paragraphs of a small result."""

import pyarrow as pa
from undertone_client.errors import SettingsError

from undertone_cli.report.texts import find_texts
from undertone_cli.sql.sources import ScoreSource


def with_texts(reader: pa.RecordBatchReader, source: ScoreSource) -> pa.RecordBatchReader:
    """The result with the column `text`, found by `text_sha256`. NULL if the inputs do not have it.

    Raises:
        SettingsError: the scores do not name their inputs.
    """
    if source.manifest is None:
        raise SettingsError(
            f"--with-text reads the inputs of a folder of `undertone score`, but {source.name} does not name its inputs: score"
            " with --keep text, and the text is a column of the table"
        )
    table = reader.read_all()
    hashes = table["text_sha256"].to_pylist()
    texts = find_texts(source.manifest.identity, set(hashes))
    column = pa.array([texts.get(each) for each in hashes], pa.string())
    return table.append_column("text", column).to_reader()
