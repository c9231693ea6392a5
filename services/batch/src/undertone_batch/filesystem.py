"""Small files and folders on whatever file system Spark itself reaches: a disk, HDFS, S3, Google Cloud Storage."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.sql import SparkSession
from undertone_client.jobs import OutputError

from undertone_batch.errors import with_remedy


class FileSystem:
    """A folder, through Hadoop's API, so that Spark's credentials and settings hold. Names are relative to the folder.

    Raises:
        OutputError: (each method) what Hadoop says is wrong.
    """

    def __init__(self, spark: SparkSession, root: str) -> None:
        self.root = root.rstrip("/") or "/"
        context: Any = spark.sparkContext  # Python has no public way to Hadoop's classes
        self._gateway = context._gateway
        self._hadoop = context._jvm.org.apache.hadoop.fs
        self._text = context._jvm.org.apache.commons.io.IOUtils
        self._configuration = context._jsc.hadoopConfiguration()
        with self._explained(""):
            self._files = self._path("").getFileSystem(self._configuration)

    def names(self, folder: str) -> list[str]:
        """What is in a folder, in order; nothing where there is none. Names that begin with a dot are left out."""
        with self._explained(folder):
            if not self._files.exists(self._path(folder)):
                return []
            found = [entry.getPath().getName() for entry in self._files.listStatus(self._path(folder))]
            return sorted(name for name in found if not name.startswith("."))

    def read(self, name: str) -> str:
        """The text of a file."""
        with self._explained(name):
            stream = self._files.open(self._path(name))
            try:
                return str(self._text.toString(stream, "UTF-8"))
            finally:
                stream.close()

    def write(self, name: str, text: str) -> None:
        """Write a file, or write it anew."""
        with self._explained(name):
            stream = self._files.create(self._path(name), True)  # noqa: FBT003 - Java has no keywords
            try:
                stream.write(bytearray(text.encode()))
            finally:
                stream.close()

    def write_new(self, name: str, text: str) -> bool:
        """Write a file that is whole from its first moment on; False if there is one of that name, which is left alone."""
        folder, _, last = name.rpartition("/")
        aside = f"{folder}/.{last}.aside"
        self.write(aside, text)
        options = self._gateway.new_array(self._gateway.jvm.org.apache.hadoop.fs.Options.Rename, 1)
        options[0] = self._gateway.jvm.org.apache.hadoop.fs.Options.Rename.NONE
        with self._explained(name):
            try:
                context = self._hadoop.FileContext.getFileContext(self._path("").toUri(), self._configuration)
                context.rename(self._path(aside), self._path(name), options)
            except Py4JJavaError as error:
                if error.java_exception.getClass().getSimpleName() != "FileAlreadyExistsException":
                    raise
                return False
        return True

    def delete(self, name: str) -> None:
        """Delete a file, or a folder with all that is in it; nothing happens where there is none."""
        with self._explained(name):
            self._files.delete(self._path(name), True)  # noqa: FBT003

    def _path(self, name: str) -> Any:
        return self._hadoop.Path(f"{self.root}/{name}" if name else self.root)

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        try:
            yield
        except Py4JJavaError as error:
            reason = str(error.java_exception.toString()).splitlines()[0]
            raise OutputError(f"{self.root}/{name} cannot be used: {with_remedy(reason)}") from None
