"""All models of the server, found by the ModelSpec of a request."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from tensorflow_serving.apis import model_pb2

from undertone_dev_server.errors import InvalidCallError, ServableNotFoundError
from undertone_dev_server.model import Lease, Model, VersionStatus


class Registry:
    """Models by name. Model names and labels are fixed for the life of the server; versions are not."""

    def __init__(self, models: Iterable[Model]) -> None:
        self.models: Mapping[str, Model] = {model.config.name: model for model in models}

    @property
    def available(self) -> bool:
        """Whether every model has a version that can be called."""
        return all(model.available for model in self.models.values())

    @contextmanager
    def lease(self, spec: model_pb2.ModelSpec) -> Iterator[Lease]:
        """Holds the version that `spec` asks for: by number, by label, or else the newest.

        Raises InvalidCallError for a spec without a name or with an unknown label, ServableNotFoundError for a model or
        version that is not there.
        """
        if not spec.name:
            raise InvalidCallError("ModelSpec has no name specified.")
        version = self._version(spec)
        model = self.models.get(spec.name)
        if model is None:
            asked = f"Latest({spec.name})" if version is None else f"Specific({spec.name}, {version})"
            raise ServableNotFoundError(f"Servable not found for request: {asked}")
        with model.lease(version) as lease:
            yield lease

    def statuses(self, spec: model_pb2.ModelSpec) -> list[VersionStatus]:
        """The states of one version or of all, newest first. Raises as `lease` does."""
        version = self._version(spec)
        model = self.models.get(spec.name)
        known = model.statuses() if model is not None else []
        asked = [status for status in known if version in (None, status.version)]
        if asked:
            return asked
        if version is None:
            raise ServableNotFoundError(f"Could not find any versions of model {spec.name}")
        raise ServableNotFoundError(f"Could not find version {version} of model {spec.name}")

    def _version(self, spec: model_pb2.ModelSpec) -> int | None:
        match spec.WhichOneof("version_choice"):
            case "version":
                return int(spec.version.value)
            case "version_label":
                model = self.models.get(spec.name)
                labels = model.config.labels if model is not None else {}
                if spec.version_label not in labels:
                    raise InvalidCallError(f"Unrecognized servable version label: {spec.version_label}")
                return labels[spec.version_label]
            case _:
                return None
