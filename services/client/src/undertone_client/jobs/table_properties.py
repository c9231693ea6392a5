"""Names of the properties of an Iceberg table of scores and of its snapshots."""

FORMAT_PROPERTY = "undertone.format"
"""Table property: the version of the table's layout. A table without it has the layout 1."""

FORMAT = "1"

BACKFILL_PROPERTY = "undertone.backfill-began-at"
"""Table property: the ISO 8601 start of a backfill that has not finished. Absent without one.

A property of the table instead of a snapshot: a snapshot of a compaction would not have it, and
maintenance deletes old snapshots.
"""

NEW_TABLE = {
    FORMAT_PROPERTY: FORMAT,
    "format-version": "2",
    "write.merge.mode": "merge-on-read",
    "write.merge.isolation-level": "serializable",
    "write.distribution-mode": "hash",
    "write.metadata.delete-after-commit.enabled": "true",
}
"""Properties of a new table."""

RUN_ID = "undertone.run-id"
MODE = "undertone.mode"
MODEL = "undertone.model"
POLICY = "undertone.policy"
SCORED = "undertone.scored"
FAILED = "undertone.failed"
BACKFILL_BEGAN_AT = "undertone.backfill-began-at"
"""Snapshot properties: who committed the snapshot, and what."""

AS_OF_PREFIX = "undertone.as-of."
"""Table property, followed by the name of a job: the ISO 8601 time of the newest data that a run of
the job has scored. It is set at the end of a successful run, also if the run changed no row."""
