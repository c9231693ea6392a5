"""Errors of the release program."""


class ReleaseError(Exception):
    """A release cannot be made. The message lists the problems and how to fix them."""

    @classmethod
    def of(cls, problems: list[str]) -> "ReleaseError":
        return cls("\n".join(problems))
