"""Luigi tasks of the Spark job. Needs the extra `undertone-schedules[luigi]`."""

from undertone_schedules.luigi_tasks.inputs import InputFile
from undertone_schedules.luigi_tasks.target import RunTarget
from undertone_schedules.luigi_tasks.tasks import UndertoneBackfill, UndertoneDaily

__all__ = ["InputFile", "RunTarget", "UndertoneBackfill", "UndertoneDaily"]
