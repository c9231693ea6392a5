"""Recognizes Spark Connect, whose sessions and frames have no access to the driver's JVM."""


def uses_connect(session_or_frame: object) -> bool:
    """Whether a session or a frame belongs to Spark Connect.

    Compares names of modules. An import of these modules fails without grpcio-status, which classic
    Spark does not need.
    """
    return any(base.__module__.startswith("pyspark.sql.connect.") for base in type(session_or_frame).__mro__)
