"""`undertone replay`."""

import sys
from dataclasses import dataclass
from pathlib import Path

import click
from undertone_client.jobs import (
    EXIT_CODES,
    ConnectionOptions,
    ExitCode,
    InputError,
    OutputError,
    RetryOptions,
    connection_options,
    explain_errors,
    job_option,
    job_session,
    retry_options,
)
from undertone_client.telemetry import CATALOGUE
from undertone_client.values import ServedModel
from undertone_telemetry.options import telemetry_options
from undertone_telemetry.settings import TelemetrySettings

from undertone_cli.job import DeadLetters, Manifest, OutputFolder, Tally, read_failures
from undertone_cli.scoring import RunOptions, Scoring, run_options
from undertone_cli.sources import Catalogue


@click.command(
    epilog=f"""\b
Examples:
  undertone replay scores/reviews
  undertone replay scores/reviews --limit 2 --timeout 120

\b
Texts are read again from the inputs that run.json names, and a text that has changed since it failed is not sent: its line
stays. What gets its score moves from failures.jsonl into the table, to the place where it belongs; what fails again stays, with
its new reason. A replay that was stopped, in whatever way, has harmed nothing: give it again.

{EXIT_CODES}"""
)
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@retry_options
@run_options
@connection_options
@telemetry_options()
@job_option("replay")
@explain_errors
def replay(
    folder: Path,
    *,
    retry: RetryOptions,
    options: RunOptions,
    connection: ConnectionOptions,
    telemetry: TelemetrySettings,
    job: str,
) -> None:
    """Score the dead letters of DIR again: the paragraphs of its failures.jsonl, and no others.

    DIR is what `undertone score --out` has filled to the end.
    """
    with job_session(telemetry, job, connection.target, catalogue=CATALOGUE) as session:
        code = Replay(Scoring(connection, retry, options, OutputFolder(folder), session)).run()
    sys.exit(code)


@dataclass(frozen=True, slots=True)
class Replay:
    """The dead letters of a folder, once more."""

    scoring: Scoring

    def run(self) -> ExitCode:
        """Score them; returns whether there are any left.

        Raises:
            UndertoneError: the folder, an input or the service cannot be used.
            CommandError: SIGINT or SIGTERM; what was scored is saved.
        """
        if not self._manifest().failed:
            self.scoring.say("There are no dead letters: everything has its score")
            return ExitCode.OK
        return self.scoring.carry_out(self._score())

    async def _score(self) -> Tally:
        served = await self.scoring.first_contact()
        with self.scoring.folder.locked():
            manifest = self._manifest()
            self._check_model(manifest, served)
            identity = manifest.identity
            catalogue = Catalogue((source.input for source in identity.sources), identity.options)
            self._check_inputs(catalogue)
            letters = DeadLetters(read_failures(self.scoring.folder), manifest.shards, identity.rows_per_part)
            tally = Tally(total=manifest.failed)
            await self.scoring.score(manifest, catalogue, tally, letters)
        if letters.changed:
            self.scoring.say(
                f"Dead letters left as they are, as their text has changed since: {letters.changed:,}. Score the new inputs "
                "into another folder"
            )
        return tally

    def _manifest(self) -> Manifest:
        folder = self.scoring.folder
        manifest = folder.read_manifest()
        if manifest is None:
            raise OutputError(f"{folder.path} has no run.json; name the folder that `undertone score … --out` wrote")
        if not manifest.complete:
            raise OutputError(
                f"the run in {folder.path} is not complete; give the same `undertone score` again, which goes on with it and "
                "also tries again what has failed"
            )
        return manifest

    def _check_model(self, manifest: Manifest, served: ServedModel) -> None:
        identity = manifest.identity
        if (served.model, served.labels) != (identity.model, identity.labels):
            raise OutputError(
                f"{self.scoring.folder.path} holds scores of {identity.model}, "
                f"{self.scoring.connection.target} serves {served.model}; "
                "have the former served, or score all with the latter into another folder"
            )

    def _check_inputs(self, catalogue: Catalogue) -> None:
        for source in catalogue.inputs:
            if not source.repeatable:
                reason = "can be read only once" if source.standard else "is not there any more, or no file"
                raise InputError(
                    f"{source.shown} {reason}; give the same `undertone score` again with the same input, which also tries "
                    "again what has failed"
                )
