"""What the Predict calls show about the model server."""


class Activity:
    """Counts Predict calls. The batcher writes it, and the model watcher reads it.

    Attributes:
        completed: Predict calls that the model server has answered so far, with any status.
        overdue: Predict calls in flight that exceed the maximum duration of a call. The model
            server counts as stuck while there is one.
    """

    def __init__(self) -> None:
        self.completed = 0
        self.overdue = 0
