"""Chooses the destination of traces from the settings."""

from __future__ import annotations

from workers.adapters.observability.traces import NoTraces, Traces
from workers.core.errors import Misconfigured
from workers.settings import Settings


def traces_of(settings: Settings) -> Traces:
    """Returns traces as the setting `traces_url` says. Raises Misconfigured if OpenTelemetry is not installed."""
    if not settings.traces.url:
        return NoTraces()
    try:
        from workers.adapters.observability.traces_otlp import OtlpTraces  # noqa: PLC0415 - an extra

        return OtlpTraces(settings.traces.url, settings.traces.share)
    except ImportError as error:
        raise Misconfigured(
            f"traces_url is set, and {error.name} is not installed.", 'pip install "attune[traces]", or unset it'
        ) from error
