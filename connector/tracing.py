"""Trace each interview from its webhook to Amplitude's answer, with OpenTelemetry's own settings.

No trace context is stored. A keyed hash of the interview's id is the trace's id, so that every process adds
its steps to the same trace, also after a restart. No attribute names a person or an interview.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any

_NS = 1_000_000  # in a millisecond
_LOW = 2**64 - 1
_log = logging.getLogger(__name__)  # the command line's help must not load structlog

Trace = Callable[..., None]
"""Takes the name of a step, connection and interview id, its begin and end (ms), and attributes.

The step that is `whole` spans all others; it comes last.
"""


def off(*_: Any, **__: Any) -> None:
    """Trace nothing."""


def open_tracing(keyed_hash: Callable[[str], str]) -> tuple[Trace, Callable[[], object]]:
    """Return how steps are traced and how tracing ends; it is off without an endpoint or the extra `otel`."""
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return off, off
    try:
        from opentelemetry import trace  # noqa: PLC0415 - of the extra `otel`, as the others
        from opentelemetry.context import Context  # noqa: PLC0415
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator  # noqa: PLC0415
    except ImportError:
        _log.warning("tracing_off: pip install 'koji-amplitude[otel]'")
        return off, off

    class Ids(RandomIdGenerator):
        whole = 0

        def generate_trace_id(self) -> int:
            return self.whole

        def generate_span_id(self) -> int:
            chosen, self.whole = self.whole, 0
            return chosen & _LOW or super().generate_span_id()

    ids = Ids()
    os.environ.setdefault("OTEL_SERVICE_NAME", "koji-amplitude")
    provider = TracerProvider(id_generator=ids)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    tracer = provider.get_tracer("koji-amplitude")

    def step(
        name: str,
        connection: str,
        interview_id: str,
        began: int,
        end: int,
        *,
        whole: bool = False,
        **about: Any,
    ) -> None:
        trace_id = int(keyed_hash(f"trace {connection} {interview_id}"), 16)
        flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
        span = trace.SpanContext(trace_id, trace_id & _LOW, is_remote=True, trace_flags=flags)
        within = Context() if whole else trace.set_span_in_context(trace.NonRecordingSpan(span), Context())
        ids.whole = trace_id if whole else 0
        attributes = {"connection": connection, **{key: str(value) for key, value in about.items()}}
        tracer.start_span(name, within, attributes=attributes, start_time=began * _NS).end(end * _NS)

    return step, provider.shutdown
