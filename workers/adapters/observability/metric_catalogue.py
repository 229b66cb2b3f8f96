"""Every metric with its name, kind, labels and meaning; docs/metrics.md is generated from it."""

from __future__ import annotations

from typing import Literal

import msgspec

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_TOKENS = (16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0)


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the catalogue. `short` is the name that the core uses to count."""

    short: str
    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...] = ()
    help: str
    buckets: tuple[float, ...] = _SECONDS


CATALOGUE: tuple[Metric, ...] = (
    Metric(
        short="records", name="attune_records_total", kind="counter", labels=("stage",), help="Input records applied."
    ),
    Metric(
        short="events",
        name="attune_events_total",
        kind="counter",
        labels=("result",),
        help="Behaviour events by result: applied, duplicate, late, mapped, rejected.",
    ),
    Metric(
        short="decisions",
        name="attune_decisions_total",
        kind="counter",
        labels=("campaign", "reason"),
        help="Ledger records: `requested`, or the reason why nothing is sent.",
    ),
    Metric(
        short="cancellations",
        name="attune_cancellations_total",
        kind="counter",
        labels=("channel", "reason"),
        help="Published messages that were cancelled before their delivery, by reason.",
    ),
    Metric(
        short="arms",
        name="attune_arms_total",
        kind="counter",
        labels=("campaign", "arm"),
        help="Arms drawn, `no-send` included.",
    ),
    Metric(
        short="request_seconds",
        name="attune_request_seconds",
        kind="histogram",
        labels=("campaign",),
        help="Time from a copy request to its outcome [s].",
        buckets=(*_SECONDS, 60.0, 300.0),
    ),
    Metric(
        short="deferred",
        name="attune_deferred_total",
        kind="counter",
        labels=("campaign", "reason"),
        help="Deferred occurrences: quiet_hours, rate (the channel's rate limit is reached).",
    ),
    Metric(
        short="build_info",
        name="attune_build_info",
        kind="gauge",
        labels=("role", "version", "python"),
        help="Always 1; the labels are the process's role, its version of Attune, and that of Python.",
    ),
    Metric(
        short="pending",
        name="attune_pending",
        kind="gauge",
        labels=("lane", "reason"),
        help="Items waiting now: occurrences for the campaign's delay, the end of quiet_hours, or the channel's rate limit "
        "(rate); requests for their copy, a review, or their release (the text is ready).",
    ),
    Metric(
        short="candidates",
        name="attune_candidates_total",
        kind="counter",
        labels=("result",),
        help="Candidates that arrived: taken, ignored (repeated, or later than the template).",
    ),
    Metric(
        short="reviews",
        name="attune_reviews_total",
        kind="counter",
        labels=("result",),
        help="Texts for human review: asked, approved, edited, rejected, timeout (no one reviewed it), no_time (it would have "
        "expired); verdicts that changed nothing: rated, refused (an edited text that the guardrails reject), ignored.",
    ),
    Metric(
        short="messages",
        name="attune_messages_total",
        kind="counter",
        labels=("channel", "generated_by", "language"),
        help="Messages published to senders.",
    ),
    Metric(
        short="outcomes",
        name="attune_outcomes_total",
        kind="counter",
        labels=("campaign", "reason"),
        help="Outcomes of requests.",
    ),
    Metric(
        short="feedback",
        name="attune_feedback_total",
        kind="counter",
        labels=("status", "result"),
        help="Feedback by result: taken, waiting (for its decision), repeated, ignored, noted (nothing is learnt from it).",
    ),
    Metric(
        short="feedback_ignored",
        name="attune_feedback_ignored_total",
        kind="counter",
        labels=("reason",),
        help="Feedback that is not counted: unknown_message, expired, future, before_message, before_delivery, "
        "not_published, wrong_customer, revenue_without_currency, bad_revenue, no_rating.",
    ),
    Metric(
        short="conversions",
        name="attune_conversions_total",
        kind="counter",
        labels=("campaign",),
        help="Published messages to which an order was attributed; exact counts are in feedback.metrics.",
    ),
    Metric(
        short="revenue",
        name="attune_revenue_total",
        kind="counter",
        labels=("currency",),
        help="Revenue attributed to published messages, without deducting refunds; exact sums are in feedback.metrics.",
    ),
    Metric(
        short="learn_ignored",
        name="attune_learn_ignored_total",
        kind="counter",
        labels=("topic", "reason"),
        help="Decisions, outcomes, feedback, orders and refunds (or their amounts) that learn could not use.",
    ),
    Metric(
        short="feedback_misplaced",
        name="attune_feedback_misplaced_total",
        kind="counter",
        labels=(),
        help="Feedback that its sender wrote to the wrong partition (with a partitioner other than murmur2) and that was "
        "forwarded to the right one.",
    ),
    Metric(
        short="dead_letters",
        name="attune_dead_letters_total",
        kind="counter",
        labels=("stage", "reason"),
        help="Inputs that could not be used.",
    ),
    Metric(
        short="commit_seconds",
        name="attune_commit_seconds",
        kind="histogram",
        labels=("stage",),
        help="Duration of one transaction and its local write [s].",
    ),
    Metric(
        short="lag_seconds",
        name="attune_lag_seconds",
        kind="gauge",
        labels=("stage", "lane"),
        help="Waiting time of the oldest record that a lane has just taken [s]; 0 if none waits.",
    ),
    Metric(
        short="intake_lag_seconds",
        name="attune_intake_lag_seconds",
        kind="gauge",
        labels=(),
        help="Age of the newest moment up to which all shop events are mapped, as `personalise` and `learn` see it [s]; above "
        "intake_hold_lag_s timers wait.",
    ),
    Metric(
        short="lanes", name="attune_lanes_open", kind="gauge", labels=("stage",), help="Partitions this worker owns."
    ),
    Metric(
        short="standby_lanes",
        name="attune_standby_lanes",
        kind="gauge",
        labels=("stage",),
        help="Copies of other workers' lanes that the last round brought up to date (setting standby_interval_s).",
    ),
    Metric(
        short="standby_rounds",
        name="attune_standby_rounds_total",
        kind="counter",
        labels=("stage",),
        help="Rounds over those copies; if it stops increasing, the copies are no longer updated.",
    ),
    Metric(
        short="texts",
        name="attune_texts_total",
        kind="counter",
        labels=("language", "generated_by", "failure"),
        help="Texts generated: by llm, from the pool, or by template, with the reason why the LLM's text was not used.",
    ),
    Metric(
        short="pool",
        name="attune_pool_draws_total",
        kind="counter",
        labels=("campaign", "result"),
        help="Requests of pooled campaigns: taken, no_entry (no approved text), none_passed (no approved text fits).",
    ),
    Metric(
        short="pool_worn",
        name="attune_pool_worn_total",
        kind="counter",
        labels=("campaign",),
        help="Texts of the pool that this worker has used as often as the campaign's pool_wear: they should be replaced.",
    ),
    Metric(
        short="guardrails",
        name="attune_guardrail_rejections_total",
        kind="counter",
        labels=("guardrail", "language"),
        help="LLM answers that a guardrail rejected.",
    ),
    Metric(
        short="deliveries",
        name="attune_deliveries_total",
        kind="counter",
        labels=("channel", "status"),
        help="Messages that `deliver` has finished (sent, bounced, failed, dropped, skipped), and postponed attempts (later).",
    ),
    Metric(
        short="delivery_late_seconds",
        name="attune_delivery_late_seconds",
        kind="gauge",
        labels=("channel",),
        help="Time since the next message that `deliver` has to send became due [s]; 0 if none waits.",
    ),
    Metric(
        short="in_flight",
        name="attune_llm_in_flight",
        kind="gauge",
        help="Texts in progress: being generated, or waiting for their turn.",
    ),
    Metric(short="llm_waiting", name="attune_llm_waiting", kind="gauge", help="Calls that wait for a free LLM server."),
    Metric(
        short="llm_shed",
        name="attune_llm_shed_total",
        kind="counter",
        labels=("priority", "reason"),
        help="Calls shed because of load, by the message's priority (0 to 9, ghost: not published): late (its turn would "
        "come too late), full (more important ones wait), waited (its turn did not come in time).",
    ),
    Metric(
        short="llm_calls",
        name="attune_llm_endpoint_calls_total",
        kind="counter",
        labels=("endpoint", "error_type"),
        help="Calls to one LLM server, by its position in the setting llm (from 0); error_type is empty if it succeeded.",
    ),
    Metric(
        short="llm_endpoint_state",
        name="attune_llm_endpoint_state",
        kind="gauge",
        labels=("endpoint",),
        help="Its circuit breaker: 0 closed (it works), 1 half-open (one trial call), 2 open (it gets no calls).",
    ),
    Metric(
        short="llm_endpoint_limit",
        name="attune_llm_endpoint_limit",
        kind="gauge",
        labels=("endpoint",),
        help="Calls that this worker may have in flight there now: at most llm_in_flight, fewer while it is overloaded.",
    ),
    Metric(
        short="llm_endpoint_in_flight",
        name="attune_llm_endpoint_in_flight",
        kind="gauge",
        labels=("endpoint",),
        help="Calls that this worker has in flight there.",
    ),
    Metric(
        short="llm_server_running",
        name="attune_llm_server_running",
        kind="gauge",
        labels=("endpoint",),
        help="Requests of all clients that run there, from vLLM's own metrics page; NaN if not known.",
    ),
    Metric(
        short="llm_server_waiting",
        name="attune_llm_server_waiting",
        kind="gauge",
        labels=("endpoint",),
        help="Requests of all clients that wait there, from vLLM's own metrics page; NaN if not known.",
    ),
    Metric(
        short="llm_server_cache",
        name="attune_llm_server_kv_cache_usage_ratio",
        kind="gauge",
        labels=("endpoint",),
        help="Share of its KV cache in use, from vLLM's own metrics page; NaN if not known.",
    ),
    Metric(
        short="llm_adapter_missing",
        name="attune_llm_adapter_missing_total",
        kind="counter",
        labels=("endpoint",),
        help="Calls that went to the base model because the server does not serve the adapter that the prompt names.",
    ),
    Metric(
        short="llm_seconds",
        name="gen_ai_client_operation_duration_seconds",
        kind="histogram",
        labels=("gen_ai_request_model", "error_type"),
        help="Duration of one LLM call [s]; error_type is empty if it succeeded.",
    ),
    Metric(
        short="llm_tokens",
        name="gen_ai_client_token_usage",
        kind="histogram",
        labels=("gen_ai_request_model", "gen_ai_token_type"),
        help="Tokens of one LLM call (input, output).",
        buckets=_TOKENS,
    ),
)


def as_markdown() -> str:
    """Returns the catalogue as docs/metrics.md (`make schemas` writes it)."""
    head = [
        "# Metrics",
        "",
        "Each role serves Prometheus metrics on loopback: `http://127.0.0.1:PORT/metrics`, with the ports",
        "`ATTUNE_METRICS_PORT_INTAKE` (9101), `..._PERSONALISE` (9102), `..._GENERATE` (9103), `..._LEARN` (9104) and",
        "`..._DELIVER` (9105). The counts of a batch become visible with its commit. Generated from `metric_catalogue.py`.",
        "",
        "| name | kind | labels | meaning |",
        "| --- | --- | --- | --- |",
    ]
    rows = [f"| `{row.name}` | {row.kind} | {', '.join(row.labels)} | {row.help} |" for row in CATALOGUE]
    return "\n".join([*head, *rows, ""])
