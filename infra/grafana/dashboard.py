"""Generates the Grafana dashboard for the on-call engineer: is the system working, and if not, at which step does it stop?

`python -m infra.grafana.dashboard` writes infra/grafana/dashboards/attune.json; a test keeps both equal. From left to right and
top to bottom, the panels follow an event: received, decided, text generated, published, learnt from.
"""

from __future__ import annotations

import json
from pathlib import Path

from infra.grafana.panels import Panel, Query, Row, Thresholds, Variable, dashboard

FILE = Path(__file__).parent / "dashboards" / "attune.json"

ROLES = "intake|personalise|generate|learn"
CAMPAIGN = 'campaign=~"$campaign"'
#: Decisions that request a text.
_REQUESTING = f'reason=~"requested|shadow",{CAMPAIGN}'


def _rate(metric: str, by: str = "", where: str = "") -> str:
    """Returns a query for the rate per second, summed over workers."""
    return f"sum{f' by ({by})' if by else ''} (rate({metric}{f'{{{where}}}' if where else ''}[$__rate_interval]))"


def _or_zero(expr: str) -> str:
    """Returns 0 for a counter that was never incremented: it has no series, and the tile would show "No data"."""
    return f"{expr} or vector(0)"


def _count(metric: str, window: str, where: str = "") -> str:
    """Returns a query for the increase in the window.

    `increase` does not see the first value of a series, so a new series counts its own value.
    """
    series = f"{metric}{{{where}}}" if where else metric
    return f"sum(({series} unless {series} offset {window}) or increase({series}[{window}]))"


def _share(metric: str, where: str) -> str:
    """Returns a query for the share that `where` selects; 0 without any activity."""
    return f"({_or_zero(_rate(metric, where=where))}) / ({_rate(metric)} > 0) or vector(0)"


def _quantile(q: float, histogram: str, by: str = "", where: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, {_rate(histogram + '_bucket', labels, where)})"


_LLM_S = "gen_ai_client_operation_duration_seconds"
_TOKENS = "gen_ai_client_token_usage"

WORKING = Row(
    "Is it working?",
    (
        Panel(
            kind="stat",
            title="Alerts",
            description=(
                "Red: open the Alerts page of Prometheus; the `runbook` of each alert says what to do. Start with "
                "severity page."
            ),
            unit="none",
            queries=(Query(_or_zero('count(ALERTS{alertstate="firing"})')),),
            width=3,
            height=5,
            thresholds=Thresholds(warn=1, bad=1),
        ),
        Panel(
            kind="state",
            title="Workers",
            description=(
                "DOWN: `docker compose logs --tail 50 ROLE`. Exit code 78 is an invalid setting, named in the last "
                "line. No data are lost while a worker is down; it continues from its last commit."
            ),
            unit="none",
            queries=(Query(f'min by (job) (up{{job=~"{ROLES}"}})', "{{job}}"),),
            width=9,
            height=5,
        ),
        Panel(
            kind="stat",
            title="Events in",
            description=(
                "0 during business hours: do the shops still produce to the source topic, does intake own partitions, "
                "are all records dead letters?"
            ),
            unit="cps",
            queries=(Query(_or_zero(_rate("attune_events_total", where='result="mapped"'))),),
            width=4,
            height=5,
        ),
        Panel(
            kind="stat",
            title="Decisions",
            description="0 while events arrive: see Decisions by reason, and the alert AttuneNoDecisions.",
            unit="cps",
            queries=(Query(_or_zero(_rate("attune_decisions_total", where=CAMPAIGN))),),
            width=4,
            height=5,
        ),
        Panel(
            kind="stat",
            title="Messages out",
            description=(
                "0 while decisions are `requested`: see Outcomes by reason. 0 with other reasons: the policy rejects "
                "all of them."
            ),
            unit="cps",
            queries=(Query(_or_zero(_rate("attune_messages_total"))),),
            width=4,
            height=5,
        ),
        Panel(
            kind="stat",
            title="Requests without outcome",
            description=(
                "Approximate number of requests of the last hour without an outcome. A few are in progress; if many "
                "remain, the clock of a partition has stopped: see Commits and Partitions of personalise. A slow LLM "
                "is not the cause: at its deadline a request ends with the template."
            ),
            unit="short",
            queries=(
                Query(
                    f"clamp_min(({_or_zero(_count('attune_decisions_total', '1h', _REQUESTING))})"
                    f" - ({_or_zero(_count('attune_outcomes_total', '1h', CAMPAIGN))}), 0)"
                ),
            ),
            width=6,
            height=4,
            thresholds=Thresholds(warn=20, bad=100),
        ),
        Panel(
            kind="stat",
            title="Dead letters, last 15 min",
            description=(
                "`attune dlq list` shows the reasons, `attune dlq show` a record. Replay them once the cause is fixed."
            ),
            unit="short",
            queries=(Query(_or_zero(_count("attune_dead_letters_total", "15m"))),),
            width=6,
            height=4,
            thresholds=Thresholds(warn=1, bad=100),
        ),
        Panel(
            kind="stat",
            title="Failed LLM calls",
            description="Meanwhile, messages are published from templates. The panel LLM calls by result names the error.",
            unit="percentunit",
            queries=(Query(_share(_LLM_S + "_count", 'error_type!=""')),),
            width=6,
            height=4,
            thresholds=Thresholds(warn=0.05, bad=0.2),
        ),
        Panel(
            kind="stat",
            title="Messages from templates",
            description="High: the LLM is down or slow, or its texts are rejected. The panel Texts by result names the reason.",
            unit="percentunit",
            queries=(Query(_share("attune_messages_total", 'generated_by="template"')),),
            width=6,
            height=4,
            thresholds=Thresholds(warn=0.5, bad=0.95),
        ),
    ),
)

FLOW = Row(
    "From event to message",
    (
        Panel(
            kind="lines",
            title="Events by result",
            description=(
                "`mapped` is the output of intake, the others are those of personalise. mapped far above applied: "
                "personalise is lagging. Many `duplicate`: a shop sends events twice. Many `late`: its clock or its "
                "pipeline is wrong."
            ),
            unit="cps",
            queries=(Query(_rate("attune_events_total", "result"), "{{result}}"),),
        ),
        Panel(
            kind="stacked",
            title="Decisions by reason",
            description=(
                "`requested`, or the reason why nothing is sent. All `consent`: do `Consent Updated` events arrive? "
                "All `frequency_capped`: a trigger fires too often. `attune why --user CUSTOMER` explains the "
                "decisions of a customer."
            ),
            unit="cps",
            queries=(Query(_rate("attune_decisions_total", "reason", CAMPAIGN), "{{reason}}"),),
        ),
        Panel(
            kind="stacked",
            title="Outcomes by reason",
            description=(
                "`published` is good. `converted` (bought in the meantime) is good too. `expired` or `stale` rising: "
                "texts arrive too late, see row LLM. `consent` rising: many customers are opting out."
            ),
            unit="cps",
            queries=(Query(_rate("attune_outcomes_total", "reason", CAMPAIGN), "{{reason}}"),),
        ),
        Panel(
            kind="stacked",
            title="Messages by channel",
            description=(
                "If only one channel drops to 0: was it removed from the playbook, or do its consents no longer arrive?"
            ),
            unit="cps",
            queries=(Query(_rate("attune_messages_total", "channel"), "{{channel}}"),),
        ),
        Panel(
            kind="stacked",
            title="Messages by author and language",
            description=(
                "`template` rises: see row LLM. In one language only: check ATTUNE_LLM_LANGUAGES and the guardrails of "
                "that language."
            ),
            unit="cps",
            queries=(Query(_rate("attune_messages_total", "generated_by, language"), "{{generated_by}} {{language}}"),),
        ),
        Panel(
            kind="stacked",
            title="Dead letters by reason",
            description=(
                "intake: a shop's format. personalise, learn: a sender's feedback. Otherwise: incompatible versions."
            ),
            unit="cps",
            queries=(Query(_rate("attune_dead_letters_total", "stage, reason"), "{{stage}} {{reason}}"),),
        ),
        Panel(
            kind="lines",
            title="Deferred by reason",
            description=(
                "`quiet_hours` rises in the evening and falls in the morning. `rate`: a channel is at its limit."
            ),
            unit="cps",
            queries=(Query(_rate("attune_deferred_total", "reason", CAMPAIGN), "{{reason}}"),),
            width=8,
        ),
        Panel(
            kind="lines",
            title="Pending by reason",
            description=(
                "`words` rises: the LLM is slow or down, templates are used at the deadline. `review` rises: there are "
                "more reviews than people can handle. `attune why --user U` shows what a customer's messages are waiting "
                "for, and until when."
            ),
            unit="short",
            queries=(Query("sum by (reason) (attune_pending)", "{{reason}}"),),
            width=8,
        ),
        Panel(
            kind="lines",
            title="Candidates by result",
            description="`ignored` is high: generate answers after the deadline, when the template has already been published.",
            unit="cps",
            queries=(Query(_rate("attune_candidates_total", "result"), "{{result}}"),),
            width=8,
        ),
    ),
)

PACE = Row(
    "Throughput and latency",
    (
        Panel(
            kind="lines",
            title="Records by stage",
            description="0 while the input grows: the stage has stopped. See the panels Partitions and Commits.",
            unit="cps",
            queries=(Query(_rate("attune_records_total", "stage"), "{{stage}}"),),
        ),
        Panel(
            kind="lines",
            title="Commits",
            description=(
                "Duration of one transaction, including its local write. Several seconds: the disk of the broker or worker "
                "is slow. No line: the stage commits nothing."
            ),
            unit="s",
            queries=tuple(
                Query(_quantile(q, "attune_commit_seconds", "stage"), f"{{{{stage}}}} p{q * 100:g}")
                for q in (0.5, 0.95, 0.99)
            ),
        ),
        Panel(
            kind="lines",
            title="Partitions",
            description=(
                "Partitions owned by running workers. Below ATTUNE_PARTITIONS: wait for the restore, or restart the "
                "role."
            ),
            unit="none",
            queries=(Query("sum by (stage) (attune_lanes_open)", "{{stage}}"),),
        ),
        Panel(
            kind="lines",
            title="Age of the input",
            description=(
                "Age of records when their stage reads them. Rises steadily: the stage is too slow or has stopped; "
                "start more of its workers, up to ATTUNE_PARTITIONS. A peak after a restart is the backlog."
            ),
            unit="s",
            queries=(Query("max by (stage) (attune_lag_seconds)", "{{stage}}"),),
            width=12,
        ),
        Panel(
            kind="lines",
            title="Request to outcome",
            description=(
                "Time from the decision until the message is published or discarded. At a campaign's `deadline_s` (60 "
                "s): texts do not arrive in time, and the template is used; see row LLM."
            ),
            unit="s",
            queries=tuple(
                Query(_quantile(q, "attune_request_seconds", where=CAMPAIGN), f"p{q * 100:g}") for q in (0.5, 0.95)
            ),
            width=12,
        ),
    ),
)

LLM = Row(
    "LLM",
    (
        Panel(
            kind="stacked",
            title="LLM calls by result",
            description=(
                "`good`, or the error. `connection`: is vllm up? `timeout`, `busy`: too much load. `key`, "
                "`unknown_model`: settings. `bad_answer`: the server answers, but not with JSON. Which of several "
                "servers: panel `LLM servers`."
            ),
            unit="reqps",
            queries=(
                Query(
                    f'label_replace({_rate(_LLM_S + "_count", "error_type")}, "error_type", "good", "error_type", "")',
                    "{{error_type}}",
                ),
            ),
        ),
        Panel(
            kind="lines",
            title="LLM latency",
            description=(
                "Duration of one call, successful or not, without queueing. Near ATTUNE_LLM_DEADLINE_S (20 s) texts become "
                "templates: check the queue."
            ),
            unit="s",
            queries=(
                Query(_quantile(0.5, _LLM_S), "p50"),
                Query(_quantile(0.95, _LLM_S), "p95"),
            ),
            thresholds=Thresholds(warn=10, bad=20),
        ),
        Panel(
            kind="lines",
            title="Tokens",
            description="Input far above output is normal. 0 with calls in flight: the model hangs, restart vllm.",
            unit="suffix: tok/s",
            queries=(Query(_rate(_TOKENS + "_sum", "gen_ai_token_type"), "{{gen_ai_token_type}}"),),
        ),
        Panel(
            kind="lines",
            title="Texts in progress",
            description=(
                "`waiting`: for a free LLM server. Permanently above 0: there are too few servers, and the least "
                "important texts are shed. Raise ATTUNE_LLM_IN_FLIGHT if vLLM's queue is empty, otherwise add servers."
            ),
            unit="none",
            queries=(
                Query('sum by (instance) (attune_llm_in_flight{job="generate"})', "{{instance}}"),
                Query('sum by (instance) (attune_llm_waiting{job="generate"})', "{{instance}} waiting"),
            ),
        ),
        Panel(
            kind="stacked",
            title="Texts by result",
            description=(
                "`llm`, or `template` and the reason: `guardrail`, `malformed`, `cut_off` (model or prompt), "
                "`deadline` (too slow), `shed` (too many at once), `unavailable` (no LLM server works), `refused` "
                "(settings), `language` (not among ATTUNE_LLM_LANGUAGES)."
            ),
            unit="cps",
            queries=(Query(_rate("attune_texts_total", "generated_by, failure"), "{{generated_by}} {{failure}}"),),
        ),
        Panel(
            kind="stacked",
            title="Guardrail rejections",
            description=(
                "Rejected texts, which are not published. One guardrail rises: was the prompt, the model or a "
                "product's facts changed?"
            ),
            unit="cps",
            queries=(
                Query(_rate("attune_guardrail_rejections_total", "guardrail, language"), "{{guardrail}} {{language}}"),
            ),
        ),
        Panel(
            kind="lines",
            title="LLM servers",
            description=(
                "Calls in flight by position in ATTUNE_LLM (from 0), and the current limit. A limit far below "
                "ATTUNE_LLM_IN_FLIGHT: the server is overloaded. `circuit open`: the number of workers that do not call the "
                "server; see its log."
            ),
            unit="none",
            queries=(
                Query("sum by (endpoint) (attune_llm_endpoint_in_flight)", "{{endpoint}} in flight"),
                Query("sum by (endpoint) (attune_llm_endpoint_limit)", "{{endpoint}} limit"),
                Query("sum by (endpoint) (attune_llm_endpoint_state == bool 2)", "{{endpoint}} circuit open"),
            ),
            width=12,
        ),
        Panel(
            kind="lines",
            title="Calls shed by priority",
            description=(
                "Texts replaced by their template because others have priority (0 to 9, `ghost`: not sent). "
                "If 5 and above have been shed for a long time, add a server."
            ),
            unit="cps",
            queries=(Query(_rate("attune_llm_shed_total", "priority, reason"), "{{priority}} {{reason}}"),),
            width=12,
        ),
        Panel(
            kind="lines",
            title="vLLM queue",
            description=(
                "`waiting` has been above 0 for a long time: the GPU is saturated; workers reduce their load automatically. "
                "Add a GPU, or use a smaller model."
            ),
            unit="none",
            queries=(
                Query("sum(vllm:num_requests_running)", "running"),
                Query("sum(vllm:num_requests_waiting)", "waiting"),
            ),
            width=12,
        ),
        Panel(
            kind="lines",
            title="vLLM cache",
            description=(
                "KV cache in use. At 1, requests wait: lower ATTUNE_LLM_IN_FLIGHT, or use a smaller --max-model-len."
            ),
            unit="percentunit",
            queries=(Query("max(vllm:kv_cache_usage_perc)", "used"),),
            width=12,
            thresholds=Thresholds(warn=0.9, bad=0.99),
        ),
    ),
)

LEARN = Row(
    "Feedback and learning",
    (
        Panel(
            kind="stacked",
            title="Feedback by status",
            description=(
                "Reports of the senders. None while messages are published: senders do not report to message.feedback, "
                "and nothing is learnt. `bounced`, `complained` or `unsubscribed` rising: pause the campaign (`attune "
                "pause`) and investigate."
            ),
            unit="cps",
            queries=(Query(_rate("attune_feedback_total", "status"), "{{status}}"),),
        ),
        Panel(
            kind="lines",
            title="Feedback by result",
            description=(
                "`taken` is good. `waiting` rises: the decisions do not reach learn. `repeated`: a sender reports "
                "everything twice. `ignored`: see Records ignored by learn."
            ),
            unit="cps",
            queries=(Query(_rate("attune_feedback_total", "result"), "{{result}}"),),
        ),
        Panel(
            kind="stacked",
            title="Conversions by campaign",
            description=(
                "Orders within a message's attribution window. 0 while orders arrive: does feedback arrive before them?"
            ),
            unit="cps",
            queries=(Query(_rate("attune_conversions_total", "campaign", CAMPAIGN), "{{campaign}}"),),
        ),
        Panel(
            kind="stacked",
            title="Arms drawn",
            description=(
                "How often each arm is drawn: learning prefers some arms, but each keeps a share of `epsilon`. "
                "If one arm gets nearly all within minutes, see `attune stats --by arm`, and check whether a sender reports "
                "false clicks."
            ),
            unit="cps",
            queries=(Query(_rate("attune_arms_total", "arm", CAMPAIGN), "{{arm}}"),),
        ),
        Panel(
            kind="lines",
            title="Revenue",
            description=(
                "Revenue of the conversions, per second; never summed over currencies. Not relevant for on-call."
            ),
            unit="short",
            queries=(Query(_rate("attune_revenue_total", "currency"), "{{currency}}"),),
        ),
        Panel(
            kind="stacked",
            title="Records ignored by learn",
            description=(
                "Feedback by reason, then records of other topics. `unknown_message`, `wrong_customer`: the sender "
                "mixes up IDs. `before_message`, `future`: its clock is wrong. `late` decisions: learn was down for "
                "too long."
            ),
            unit="cps",
            queries=(
                Query(_rate("attune_feedback_ignored_total", "reason"), "feedback {{reason}}"),
                Query(_rate("attune_learn_ignored_total", "topic, reason"), "{{topic}} {{reason}}"),
            ),
        ),
    ),
)

ROWS = (WORKING, FLOW, PACE, LLM, LEARN)
VARIABLES = (Variable(name="campaign", label="Campaign", metric="attune_decisions_total"),)


def render() -> str:
    """Returns the text of the dashboard's file."""
    model = dashboard(
        uid="attune",
        title="Attune",
        description="Is it working, and if not, where does it stop? Generated by infra/grafana/dashboard.py.",
        rows=ROWS,
        variables=VARIABLES,
    )
    return json.dumps(model, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(render())
