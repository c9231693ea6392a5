"""Queries as PromQL, with Grafana's variables."""

from .panel import Age, Mean, Quantile, Query, Rate, Series, Share, Source, Sum

WINDOW = "$__rate_interval"

_CHOICE = {
    Source.PODS: ('namespace=~"$namespace"',),
    Source.JOBS: (),
    Source.OTHERS: ('namespace=~"$namespace"',),
}


def promql(query: Query, source: Source) -> str:
    """The expression for a query of a section with that source."""

    # A job that is scraped while it runs says what it pushes, too.
    total = "max" if source is Source.JOBS else "sum"

    def written(query: Query) -> str:
        match query:
            case Rate(of):
                return f"{total}{_by(of.by)}(rate({_selector(of, source)}[{WINDOW}]))"
            case Sum(of):
                return f"{total}{_by(of.by)}({_selector(of, source)})"
            case Quantile(of, at):
                buckets = _selector(of, source, suffix="_bucket")
                return f"histogram_quantile({at:g}, sum{_by(('le', *of.by))}(rate({buckets}[{WINDOW}])))"
            case Mean(of):
                observed, count = _selector(of, source, suffix="_sum"), _selector(of, source, suffix="_count")
                return f"sum{_by(of.by)}(rate({observed}[{WINDOW}])) / sum{_by(of.by)}(rate({count}[{WINDOW}]))"
            case Share(part, whole):
                # Each part over its own whole.
                more = part.of.by != whole.of.by
                match_on = f" on ({', '.join(whole.of.by)}) group_left" if more else ""
                return f"{written(part)} /{match_on} {written(whole)}"
            case Age(of):
                return f"time() - max{_by(of.by)}({_selector(of, source)})"

    return written(query)


def _selector(series: Series, source: Source, *, suffix: str = "") -> str:
    chosen = [
        *_CHOICE[source],
        *(f'{label}="{value}"' for label, value in series.where.items()),
        *(f'{label}!="{value}"' for label, value in series.unlike.items()),
    ]
    matchers = "{" + ", ".join(chosen) + "}" if chosen else ""
    return f"{series.metric}{suffix}{matchers}"


def _by(labels: tuple[str, ...]) -> str:
    return f" by ({', '.join(labels)}) " if labels else ""
