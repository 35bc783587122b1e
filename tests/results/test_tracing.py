"""One trace from a webhook to Amplitude's answer, with OpenTelemetry's own exporter and a receiver of spans."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from connector import tracing
from tests.support.harness import open_world
from tests.support.receiver import Receiver, receiving

pytestmark = pytest.mark.e2e


@pytest.fixture
async def receiver(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Receiver]:
    async with receiving() as opened:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", opened.url)
        yield opened


def spans(receiver: Receiver) -> list[Any]:
    found = []
    for _, body in receiver.got:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            found += [span for scope in resource.scope_spans for span in scope.spans]
    return found


async def test_webhook_read_and_send_are_one_trace_over_a_restart(tmp_path: Path, receiver: Receiver) -> None:
    async with open_world(tmp_path) as world:
        await world.hold("amplitude")
        for number in range(2):
            await world.interview(f"int-{number}", number)
            await world.deliver({"interview_id": f"int-{number}"})
        await world.held("amplitude")
        await world.release("amplitude")
        await world.restart()
        await world.ended("int-0", "int-1")
    found = spans(receiver)
    traces = {span.trace_id for span in found}
    assert len(traces) == 2
    for trace in traces:
        of_trace = {span.name: span for span in found if span.trace_id == trace}
        assert set(of_trace) == {"koji.webhook", "koji.read", "amplitude.send", "interview"}
        whole = of_trace.pop("interview")
        assert whole.parent_span_id == b""
        for span in of_trace.values():
            assert span.parent_span_id == whole.span_id
            assert whole.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
            assert span.end_time_unix_nano <= whole.end_time_unix_nano
        values = {one.key: one.value.string_value for span in of_trace.values() for one in span.attributes}
        assert values == {"connection": "default", "answer": "accepted", "status": "200"}


def test_it_is_off_without_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    assert tracing.open_tracing(str) == (tracing.off, tracing.off)


def test_it_is_off_without_the_extra(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.sdk.trace", None)
    assert tracing.open_tracing(str) == (tracing.off, tracing.off)
    assert "koji-amplitude[otel]" in caplog.text
