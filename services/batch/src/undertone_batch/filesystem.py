"""Small files on any file system that Spark can use: a disk, HDFS, S3, Google Cloud Storage."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.sql import SparkSession
from undertone_client.jobs import OutputError

from undertone_batch.errors import add_remedy


class FileSystem:
    """A folder, accessed by Hadoop with Spark's credentials and settings. Names are relative to it.

    Raises:
        OutputError: (every method) an operation failed.
    """

    def __init__(self, spark: SparkSession, root: str) -> None:
        self.root = root.rstrip("/") or "/"
        context: Any = spark.sparkContext  # PySpark has no public access to Hadoop's classes
        self._gateway = context._gateway
        self._hadoop = context._jvm.org.apache.hadoop.fs
        self._io = context._jvm.org.apache.commons.io.IOUtils
        self._configuration = context._jsc.hadoopConfiguration()
        with self._explain_errors(""):
            self._files = self._path("").getFileSystem(self._configuration)

    def names(self, folder: str) -> list[str]:
        """The sorted names in a folder, except hidden names. Empty if it does not exist."""
        with self._explain_errors(folder):
            if not self._files.exists(self._path(folder)):
                return []
            names = [entry.getPath().getName() for entry in self._files.listStatus(self._path(folder))]
            return sorted(name for name in names if not name.startswith("."))

    def read(self, name: str) -> str:
        with self._explain_errors(name):
            stream = self._files.open(self._path(name))
            try:
                return str(self._io.toString(stream, "UTF-8"))
            finally:
                stream.close()

    def write(self, name: str, text: str) -> None:
        """Writes or overwrites a file."""
        with self._explain_errors(name):
            stream = self._files.create(self._path(name), True)  # noqa: FBT003 - Java has no keywords
            try:
                stream.write(bytearray(text.encode()))
            finally:
                stream.close()

    def create(self, name: str, text: str) -> bool:
        """Creates a file atomically. Returns False, and changes nothing, if the file exists."""
        folder, _, last = name.rpartition("/")
        temporary = f"{folder}/.{last}.aside"
        self.write(temporary, text)
        options = self._gateway.new_array(self._gateway.jvm.org.apache.hadoop.fs.Options.Rename, 1)
        options[0] = self._gateway.jvm.org.apache.hadoop.fs.Options.Rename.NONE
        with self._explain_errors(name):
            try:
                context = self._hadoop.FileContext.getFileContext(self._path("").toUri(), self._configuration)
                context.rename(self._path(temporary), self._path(name), options)
            except Py4JJavaError as error:
                if error.java_exception.getClass().getSimpleName() != "FileAlreadyExistsException":
                    raise
                return False
        return True

    def delete(self, name: str) -> None:
        """Deletes a file, or a folder with its contents, if it exists."""
        with self._explain_errors(name):
            self._files.delete(self._path(name), True)  # noqa: FBT003

    def _path(self, name: str) -> Any:
        return self._hadoop.Path(f"{self.root}/{name}" if name else self.root)

    @contextmanager
    def _explain_errors(self, name: str) -> Iterator[None]:
        try:
            yield
        except Py4JJavaError as error:
            reason = str(error.java_exception.toString()).splitlines()[0]
            raise OutputError(f"cannot use {self.root}/{name}: {add_remedy(reason)}") from None
