"""The metrics of a server, for the package prometheus-client, which is an optional extra."""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from mockserver import __version__
from mockserver.engine.engine import Engine
from mockserver.web.callbacks.dispatcher import CallbackDispatcher
from mockserver.web.metrics.observations import BOUNDS, Observations

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LIMITS = (*map(str, BOUNDS), "+Inf")


class EngineCollector(Collector):
    """Reads the figures of an engine when it is asked."""

    def __init__(self, engine: Engine, observations: Observations, labels: Mapping[str, str]) -> None:
        """`labels` are those of what each process counts for itself."""
        self._engine = engine
        self._observations = observations
        self._labels = labels

    def collect(self) -> Iterator[Metric]:
        """The metrics. Raises StoreUnavailable if the store does not answer."""
        yield self._counter("mockserver_info", "The server.", {"version": __version__}, 1.0, gauge=True)
        yield from self._requests()
        yield from self._sandboxes()
        yield from self._store()
        yield from self._callbacks()

    def _requests(self) -> Iterator[Metric]:
        names, values = [*self._labels], [*self._labels.values()]
        text = "Requests by operation, status and reason of rejection. Those before the first scrape have no reason."
        requests = CounterMetricFamily("mockserver_requests", text, labels=[*names, "operation", "status", "reason"])
        for (operation, status, reason), count in self._observations.counts().items():
            requests.add_metric([*values, operation, str(status), reason], count)
        yield requests
        text = "Time to compute a response, since the first scrape; without commit, delays on purpose, and transfer."
        seconds = HistogramMetricFamily("mockserver_request_seconds", text, labels=[*names, "operation"])
        for operation, durations in self._observations.durations().items():
            reached, buckets = 0, []
            for limit, count in zip(_LIMITS, durations.counts, strict=True):
                reached += count
                buckets.append((limit, reached))
            seconds.add_metric([*values, operation], buckets, durations.total)
        yield seconds

    def _sandboxes(self) -> Iterator[Metric]:
        sandboxes = self._engine.sandboxes
        yield GaugeMetricFamily("mockserver_sandboxes", "Sandboxes that exist.", len(sandboxes))
        yield CounterMetricFamily("mockserver_evictions", "Sandboxes that were evicted.", sandboxes.evicted)
        stored = GaugeMetricFamily(
            "mockserver_stored_values", "Values in the collections of all sandboxes.", labels=["collection"]
        )
        for collection, count in sorted(sandboxes.totals().items()):
            stored.add_metric([collection], count)
        yield stored
        yield GaugeMetricFamily(
            "mockserver_stored_bytes",
            "Bytes of the store; in memory, those of journals and large batches.",
            sandboxes.stored_bytes(),
        )
        text = "Exchanges that the journals of existing sandboxes have dropped because of their bounds."
        yield GaugeMetricFamily("mockserver_journal_dropped", text, sandboxes.journal_drops())

    def _store(self) -> Iterator[Metric]:
        figures = self._engine.sandboxes.store_figures()
        for name, text in (
            ("round_trips", "Questions to the store, and changes of it."),
            ("conflicts", "Transactions that were computed again, because another process had changed the sandbox."),
            ("failures", "Questions that the store did not answer."),
        ):
            if name in figures:
                yield self._counter(f"mockserver_store_{name}", text, {}, figures[name])

    def _callbacks(self) -> Iterator[Metric]:
        names, values = [*self._labels], [*self._labels.values()]
        text = "Attempts to deliver a callback by their result."
        attempts = CounterMetricFamily("mockserver_callback_attempts", text, labels=[*names, "result"])
        dispatcher = self._engine.dispatcher
        if isinstance(dispatcher, CallbackDispatcher):
            for result, count in sorted(dispatcher.attempts.items()):
                attempts.add_metric([*values, result], count)
        yield attempts

    def _counter(self, name: str, text: str, labels: Mapping[str, str], value: float, *, gauge: bool = False) -> Metric:
        every = {**self._labels, **labels}
        family = (GaugeMetricFamily if gauge else CounterMetricFamily)(name, text, labels=[*every])
        family.add_metric([*every.values()], value)
        return family


def make_registry(engine: Engine, labels: Mapping[str, str]) -> CollectorRegistry:
    """The metrics of an engine, which observes its exchanges from now on."""
    registry = CollectorRegistry(auto_describe=False)
    if "worker" not in labels:  # a figure of one process among several, without its name, would say nothing
        ProcessCollector(registry=registry)
    registry.register(EngineCollector(engine, Observations(engine), labels))
    return registry


def format_metrics(registry: CollectorRegistry) -> bytes:
    """The text that Prometheus reads. Raises StoreUnavailable if the store does not answer."""
    return generate_latest(registry)
