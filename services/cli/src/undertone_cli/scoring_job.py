"""A scoring run as the command line asks for it: survey, first contact, the folder, the run."""

from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath

from undertone_client.jobs import (
    ExitCode,
    OutputError,
)
from undertone_client.values import Policy, ServedModel

from undertone_cli.job import Everything, Identity, Manifest, Survey, Tally, survey
from undertone_cli.scoring import Scoring
from undertone_cli.sources import Catalogue


@dataclass(frozen=True, slots=True)
class Job:
    """What to score, and how; `overwrite` discards what the folder holds."""

    scoring: Scoring
    catalogue: Catalogue
    policy: Policy
    rows_per_part: int
    overwrite: bool

    def run(self) -> ExitCode:
        """Survey the inputs, then score them.

        Raises:
            UndertoneError: an input, the folder or the service cannot be used.
            CommandError: SIGINT or SIGTERM; what was scored is saved.
        """
        console = self.scoring.console
        if skipped := self.catalogue.skipped:
            kinds = ", ".join(sorted({PurePosixPath(name).suffix or "none" for name in skipped}))
            files, their = ("file", "its") if len(skipped) == 1 else ("files", "their")
            self.scoring.say(
                f"{len(skipped):,} {files} left out, as {their} suffix ({kinds}) does not tell the form; see --format"
            )
        with console.status("Reading the inputs") if console.is_terminal else nullcontext():
            surveyed = survey(self.catalogue)
        return self.scoring.carry_out(self._score(surveyed))

    async def _score(self, surveyed: Survey) -> Tally:
        identity = self._identity(surveyed, await self.scoring.first_contact())
        tally = Tally(total=surveyed.paragraphs)
        with self.scoring.folder.locked():
            await self.scoring.score(self._manifest(identity), self.catalogue, tally, Everything())
        return tally

    def _identity(self, surveyed: Survey, served: ServedModel) -> Identity:
        options = self.catalogue.options
        return Identity(surveyed.fingerprints, options, self.rows_per_part, served.model, served.labels, self.policy)

    def _manifest(self, identity: Identity) -> Manifest:
        folder = self.scoring.folder
        if self.overwrite:
            folder.clear()
        manifest = folder.read_manifest()
        if manifest is None:
            manifest = Manifest(identity, started_at=datetime.now(UTC))
            folder.write_manifest(manifest)
        elif differences := list(manifest.identity.differences(identity)):
            listed = "\n  ".join(differences)
            raise OutputError(
                f"{folder.path} holds another run:\n  {listed}\nUse another --out, or discard it with --overwrite"
            )
        return manifest
