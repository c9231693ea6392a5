"""Files that a run waits for."""

import luigi
from undertone_client import SettingsError


class InputFile(luigi.ExternalTask):
    """A local file, or an object in S3, that another system writes.

    Attributes:
        path: A path, or s3://BUCKET/KEY. S3 needs boto3.
    """

    path = luigi.Parameter()

    def output(self) -> luigi.Target:
        if not self.path.startswith("s3://"):
            return luigi.LocalTarget(self.path)
        try:
            from luigi.contrib.s3 import S3Client, S3Target

            return S3Target(self.path, client=S3Client())
        except ModuleNotFoundError as error:
            raise SettingsError(
                f"the input {self.path!r} needs {error.name!r}, which is not installed: pip install boto3"
            ) from None
