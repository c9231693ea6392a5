"""Which rows of a table the rows of a run folder replace. Pure functions on Arrow tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from undertone_client.jobs.score_columns import DELETED_AT_COLUMN, MODEL_COLUMNS, SCORED_AT_COLUMN

KEY = ("text_sha256", *(field.name for field in MODEL_COLUMNS))
"""Columns that determine the score of a paragraph, together with its id."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Rows of a folder, compared with rows of the table.

    Attributes:
        matched: for each row of the table, the index of the folder's row with its id, or null.
        replaced: for each row of the table, whether the folder's row replaces it.
        kept: number of rows of the table that are newer than the folder's row and differ from it.
    """

    matched: Any
    replaced: Any
    kept: int


def compare(new: pa.Table, old: pa.Table, details: Sequence[str], now: datetime) -> Comparison:
    """Compare rows of a folder with rows of the table.

    A row is replaced if it was scored earlier than the folder's row, and differs in the key or in
    the details, or is marked as deleted. The result therefore does not depend on the order in
    which folders are published, and publishing a folder again changes nothing.

    Args:
        new: rows of the folder, with distinct ids.
        old: rows of the table, with `compared_columns` as far as the table has them.
        details: further columns that are compared, such as kept columns. A column that the table
            lacks is null.
        now: the current time. A row from the future counts as old, so that a wrong clock does not
            protect it for ever.
    """
    matched = pc.index_in(old["id"], value_set=new["id"])
    partner = new.take(pc.fill_null(matched, 0)) if new.num_rows else new
    found = pc.is_valid(matched)
    if new.num_rows == 0:
        return Comparison(matched, found, 0)
    deleted_at = old[DELETED_AT_COLUMN.name]
    scored_at = old[SCORED_AT_COLUMN.name]
    changed_at = pc.if_else(pc.fill_null(pc.greater(deleted_at, scored_at), fill_value=False), deleted_at, scored_at)
    deleted = pc.is_valid(deleted_at)
    limit = pa.scalar(now, SCORED_AT_COLUMN.type)
    newer = pc.or_(pc.less(changed_at, partner[SCORED_AT_COLUMN.name]), pc.greater(changed_at, limit))
    newer = pc.fill_null(newer, fill_value=True)  # a row without a time
    other_key = _differ(partner, old, KEY)
    replaced = pc.and_(found, pc.and_(newer, pc.or_(pc.or_(other_key, deleted), _differ(partner, old, details))))
    kept = pc.and_(found, pc.and_(pc.invert(newer), pc.or_(other_key, deleted)))
    return Comparison(matched, replaced, pc.sum(kept).as_py() or 0)


def compared_columns(details: Sequence[str]) -> tuple[str, ...]:
    """The columns of the table that `compare` needs."""
    return ("id", *KEY, SCORED_AT_COLUMN.name, DELETED_AT_COLUMN.name, *details)


def _differ(left: pa.Table, right: pa.Table, names: Sequence[str]) -> Any:
    """For each row, whether a column differs. Two nulls are equal, and so are two NaN."""
    result = pa.nulls(right.num_rows, pa.bool_()).fill_null(fill_value=False)
    for name in names:
        mine = left[name].combine_chunks()
        if name not in right.schema.names:
            result = pc.or_(result, pc.is_valid(mine))
            continue
        other = right[name].combine_chunks()
        if pa.types.is_primitive(mine.type) and mine.type.bit_width < other.type.bit_width:
            mine = mine.cast(other.type)
        else:  # also pyiceberg's large strings
            other = other.cast(mine.type)
        different = pc.fill_null(pc.not_equal(mine, other), pc.xor(pc.is_valid(mine), pc.is_valid(other)))
        if pa.types.is_floating(mine.type):
            both_nan = pc.fill_null(pc.and_(pc.is_nan(mine), pc.is_nan(other)), fill_value=False)
            different = pc.and_(different, pc.invert(both_nan))
        result = pc.or_(result, different)
    return result
