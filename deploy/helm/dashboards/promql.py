"""Translation of queries to PromQL with the variables of Grafana."""

from .model import Age, Mean, Quantile, Query, Rate, Ratio, Series, Source, Sum

WINDOW = "$__rate_interval"

_MATCHERS = {
    Source.PODS: ('namespace=~"$namespace"',),
    Source.JOBS: (),
    Source.INFRASTRUCTURE: ('namespace=~"$namespace"',),
}


def promql(query: Query, source: Source) -> str:
    """The PromQL expression of a query."""

    # max: a running job is scraped and also pushes the same series.
    aggregation = "max" if source is Source.JOBS else "sum"

    def expression(query: Query) -> str:
        match query:
            case Rate(series):
                return f"{aggregation}{_by(series.by)}(rate({_selector(series, source)}[{WINDOW}]))"
            case Sum(series):
                return f"{aggregation}{_by(series.by)}({_selector(series, source)})"
            case Quantile(series, quantile):
                buckets = _selector(series, source, suffix="_bucket")
                return f"histogram_quantile({quantile:g}, sum{_by(('le', *series.by))}(rate({buckets}[{WINDOW}])))"
            case Mean(series):
                total, count = _selector(series, source, suffix="_sum"), _selector(series, source, suffix="_count")
                by = _by(series.by)
                return f"sum{by}(rate({total}[{WINDOW}])) / sum{by}(rate({count}[{WINDOW}]))"
            case Ratio(numerator, denominator):
                labels = denominator.series.by
                matching = f" on ({', '.join(labels)}) group_left" if numerator.series.by != labels else ""
                return f"{expression(numerator)} /{matching} {expression(denominator)}"
            case Age(series):
                return f"time() - max{_by(series.by)}({_selector(series, source)})"

    return expression(query)


def _selector(series: Series, source: Source, *, suffix: str = "") -> str:
    matchers = [
        *_MATCHERS[source],
        *(f'{label}="{value}"' for label, value in series.equal.items()),
        *(f'{label}!="{value}"' for label, value in series.not_equal.items()),
    ]
    return f"{series.metric}{suffix}" + ("{" + ", ".join(matchers) + "}" if matchers else "")


def _by(labels: tuple[str, ...]) -> str:
    return f" by ({', '.join(labels)}) " if labels else ""
