"""Generates the Grafana dashboard for the on-call engineer: is the system working, and if not, at which step does it stop?

`python -m infra.grafana.dashboard` writes infra/grafana/dashboards/attune.json; a test keeps both equal. Left to right and
top to bottom the panels follow an event: received, decided, written, published, learnt from.
"""

from __future__ import annotations

import json
from pathlib import Path

from infra.grafana.panels import Panel, Query, Row, Thresholds, Variable, dashboard

FILE = Path(__file__).parent / "dashboards" / "attune.json"

ROLES = "intake|personalise|generate|learn"
CAMPAIGN = 'campaign=~"$campaign"'
#: Decisions that request a text.
_ASKED = f'reason=~"requested|shadow",{CAMPAIGN}'


def _rate(metric: str, by: str = "", where: str = "") -> str:
    """Returns a query for the rate per second, summed over workers."""
    return f"sum{f' by ({by})' if by else ''} (rate({metric}{f'{{{where}}}' if where else ''}[$__rate_interval]))"


def _or_zero(expr: str) -> str:
    """Replaces a counter that never counted by 0: it has no series, and the tile would show "No data"."""
    return f"{expr} or vector(0)"


def _count(metric: str, window: str, where: str = "") -> str:
    """Returns a query for the increase in the window.

    `increase` does not see the first value of a series, so a new series counts its own value.
    """
    series = f"{metric}{{{where}}}" if where else metric
    return f"sum(({series} unless {series} offset {window}) or increase({series}[{window}]))"


def _share(metric: str, where: str) -> str:
    """Returns a query for the share that `where` selects; 0 if nothing happens at all."""
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
            description="Red: open Prometheus, page Alerts; each one says in `runbook` what to do. Begin with severity page.",
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
                "DOWN: `docker compose logs --tail 50 ROLE`. Code 78 is a wrong setting, named in the last line. "
                "Nothing is lost while a worker is down; it goes on from its last commit."
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
                "0 though shops are open: do they still produce to the source topic, does intake own partitions, "
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
            description="0 while events come in: see Decisions by reason, and the alert AttuneNoDecisions.",
            unit="cps",
            queries=(Query(_or_zero(_rate("attune_decisions_total", where=CAMPAIGN))),),
            width=4,
            height=5,
        ),
        Panel(
            kind="stat",
            title="Messages out",
            description="0 while decisions say `requested`: see Outcomes by reason. 0 with other reasons is the policy at work.",
            unit="cps",
            queries=(Query(_or_zero(_rate("attune_messages_total"))),),
            width=4,
            height=5,
        ),
        Panel(
            kind="stat",
            title="Requests without outcome",
            description=(
                "Asked for in the last hour and not ended, roughly. A few are on their way; many that stay: the clock of a "
                "partition stands, look at Commits and Partitions of personalise. A slow LLM is not the reason: its "
                "deadline ends a request with the template."
            ),
            unit="short",
            queries=(
                Query(
                    f"clamp_min(({_or_zero(_count('attune_decisions_total', '1h', _ASKED))})"
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
            description="`attune dlq list` names the reasons, `attune dlq show` a record. Replay them when the cause is gone.",
            unit="short",
            queries=(Query(_or_zero(_count("attune_dead_letters_total", "15m"))),),
            width=6,
            height=4,
            thresholds=Thresholds(warn=1, bad=100),
        ),
        Panel(
            kind="stat",
            title="LLM calls that fail",
            description="Messages leave as templates meanwhile. LLM calls by result names the error.",
            unit="percentunit",
            queries=(Query(_share(_LLM_S + "_count", 'error_type!=""')),),
            width=6,
            height=4,
            thresholds=Thresholds(warn=0.05, bad=0.2),
        ),
        Panel(
            kind="stat",
            title="Messages by template",
            description="High: the LLM is down, slow, or its texts do not pass. Texts by what became of them names the reason.",
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
            title="Events by what became of them",
            description=(
                "`mapped` comes out of intake, the others are personalise's. mapped far above applied: personalise is "
                "behind. Many `duplicate`: a shop sends twice. Many `late`: its clock or its pipeline is off."
            ),
            unit="cps",
            queries=(Query(_rate("attune_events_total", "result"), "{{result}}"),),
        ),
        Panel(
            kind="stacked",
            title="Decisions by reason",
            description=(
                "`requested` is a yes, everything else a no with its reason. All `consent`: do `Consent Updated` events "
                "arrive? All `frequency_capped`: a trigger fires too often. `attune why --user CUSTOMER` explains one."
            ),
            unit="cps",
            queries=(Query(_rate("attune_decisions_total", "reason", CAMPAIGN), "{{reason}}"),),
        ),
        Panel(
            kind="stacked",
            title="Outcomes by reason",
            description=(
                "`published` is good. `converted`: bought meanwhile, good too. `expired` or `stale` rising: words come too "
                "late, see LLM. `consent` rising: many withdraw at this moment."
            ),
            unit="cps",
            queries=(Query(_rate("attune_outcomes_total", "reason", CAMPAIGN), "{{reason}}"),),
        ),
        Panel(
            kind="stacked",
            title="Messages by channel",
            description="A channel that falls to 0 alone: was it taken from the playbook, or do its consents no longer arrive?",
            unit="cps",
            queries=(Query(_rate("attune_messages_total", "channel"), "{{channel}}"),),
        ),
        Panel(
            kind="stacked",
            title="Messages by author and language",
            description="`template` takes over: look at the row LLM. One language only: ATTUNE_LLM_LANGUAGES, or its guardrails.",
            unit="cps",
            queries=(Query(_rate("attune_messages_total", "generated_by, language"), "{{generated_by}} {{language}}"),),
        ),
        Panel(
            kind="stacked",
            title="Dead letters by reason",
            description="intake: a shop's format. personalise, learn: a sender's feedback. Else versions that do not fit.",
            unit="cps",
            queries=(Query(_rate("attune_dead_letters_total", "stage, reason"), "{{stage}} {{reason}}"),),
        ),
        Panel(
            kind="lines",
            title="Put off by reason",
            description="`quiet_hours` swells in the evening and empties in the morning. `rate`: a channel is at its limit.",
            unit="cps",
            queries=(Query(_rate("attune_deferred_total", "reason", CAMPAIGN), "{{reason}}"),),
            width=8,
        ),
        Panel(
            kind="lines",
            title="What waits",
            description="`words` grows: the LLM is slow or down, templates follow at the deadline. `review` grows: people "
            "are asked for more than they look at. `attune why --user U` tells of one customer what waits, and until when.",
            unit="short",
            queries=(Query("sum by (reason) (attune_pending)", "{{reason}}"),),
            width=8,
        ),
        Panel(
            kind="lines",
            title="Candidates by result",
            description="`ignored` high: generate answers after the deadline, when the template has already left.",
            unit="cps",
            queries=(Query(_rate("attune_candidates_total", "result"), "{{result}}"),),
            width=8,
        ),
    ),
)

PACE = Row(
    "Pace",
    (
        Panel(
            kind="lines",
            title="Records by stage",
            description="Flat at 0 while its input grows: the stage stands. See Partitions and Commits beside it.",
            unit="cps",
            queries=(Query(_rate("attune_records_total", "stage"), "{{stage}}"),),
        ),
        Panel(
            kind="lines",
            title="Commits",
            description=(
                "Duration of one transaction with its local write. Seconds: the broker's disk or the worker's is slow. "
                "No line: the stage commits nothing."
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
            description="Owned by running workers. Below ATTUNE_PARTITIONS: wait for the restore, or restart the role.",
            unit="none",
            queries=(Query("sum by (stage) (attune_lanes_open)", "{{stage}}"),),
        ),
        Panel(
            kind="lines",
            title="Age of the input",
            description=(
                "How long records had waited when their stage took them. Grows without end: the stage is too slow or stands; "
                "start another worker of it, up to ATTUNE_PARTITIONS. A peak after a restart is the backlog."
            ),
            unit="s",
            queries=(Query("max by (stage) (attune_lag_seconds)", "{{stage}}"),),
            width=12,
        ),
        Panel(
            kind="lines",
            title="Request to outcome",
            description=(
                "From the decision to the message or its discard. At a campaign's `deadline_s` (60 s): the words do not come, "
                "the template leaves; look at the row LLM."
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
                "`good`, or the error. `connection`: is vllm up? `timeout`, `busy`: too much load. `key`, `unknown_model`: "
                "settings. `bad_answer`: the server answers, but not with JSON. Which of several servers: panel `LLM servers`."
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
                "Of one call, good or not, without its wait. Near ATTUNE_LLM_DEADLINE_S (20 s) texts become templates: look at "
                "the queue."
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
            description="Input far above output is normal. 0 with calls in flight: the model hangs; restart vllm.",
            unit="suffix: tok/s",
            queries=(Query(_rate(_TOKENS + "_sum", "gen_ai_token_type"), "{{gen_ai_token_type}}"),),
        ),
        Panel(
            kind="lines",
            title="Texts in work",
            description=(
                "`waiting` is for a free LLM server. Above 0 all the time: too few; the least important texts are shed. "
                "More ATTUNE_LLM_IN_FLIGHT if vLLM's own queue is empty, else more servers."
            ),
            unit="none",
            queries=(
                Query('sum by (instance) (attune_llm_in_flight{job="generate"})', "{{instance}}"),
                Query('sum by (instance) (attune_llm_waiting{job="generate"})', "{{instance}} waiting"),
            ),
        ),
        Panel(
            kind="stacked",
            title="Texts by what became of them",
            description=(
                "`llm`, or `template` and why: `guardrail`, `malformed`, `cut_off` (model or prompt), `deadline` (too slow), "
                "`shed` (too many at once), `unavailable` (no LLM server works), `refused` (settings), `language` (not among "
                "ATTUNE_LLM_LANGUAGES)."
            ),
            unit="cps",
            queries=(Query(_rate("attune_texts_total", "generated_by, failure"), "{{generated_by}} {{failure}}"),),
        ),
        Panel(
            kind="stacked",
            title="Guardrail rejections",
            description="Stopped, none left. One guardrail rises: was the prompt, the model or a product's facts changed?",
            unit="cps",
            queries=(
                Query(_rate("attune_guardrail_rejections_total", "guardrail, language"), "{{guardrail}} {{language}}"),
            ),
        ),
        Panel(
            kind="lines",
            title="LLM servers",
            description=(
                "Calls in flight by the server's place in ATTUNE_LLM, from 0, and what the workers allow it now. A limit far "
                "below ATTUNE_LLM_IN_FLIGHT: it is overloaded. `left alone`: workers whose breaker is open, see its log."
            ),
            unit="none",
            queries=(
                Query("sum by (endpoint) (attune_llm_endpoint_in_flight)", "{{endpoint}} in flight"),
                Query("sum by (endpoint) (attune_llm_endpoint_limit)", "{{endpoint}} limit"),
                Query("sum by (endpoint) (attune_llm_endpoint_state == bool 2)", "{{endpoint}} left alone"),
            ),
            width=12,
        ),
        Panel(
            kind="lines",
            title="Calls shed by priority",
            description=(
                "Texts that got their template because more important ones come first (0 to 9, `ghost`: nobody hears it). "
                "5 and above for long: add a server."
            ),
            unit="cps",
            queries=(Query(_rate("attune_llm_shed_total", "priority, reason"), "{{priority}} {{reason}}"),),
            width=12,
        ),
        Panel(
            kind="lines",
            title="vLLM queue",
            description=(
                "Waiting above 0 for long: the GPU is full; workers ask for less by themselves. Another GPU, or a smaller model."
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
            description="KV cache in use. At 1 requests wait: fewer in flight, or a shorter --max-model-len.",
            unit="percentunit",
            queries=(Query("max(vllm:kv_cache_usage_perc)", "used"),),
            width=12,
            thresholds=Thresholds(warn=0.9, bad=0.99),
        ),
    ),
)

LEARN = Row(
    "What comes back",
    (
        Panel(
            kind="stacked",
            title="Feedback by status",
            description=(
                "From the senders. Nothing at all while messages leave: they do not report to message.feedback, and nothing is "
                "learnt. `bounced`, `complained` or `unsubscribed` rising: pause the campaign (`attune pause`), then look at it."
            ),
            unit="cps",
            queries=(Query(_rate("attune_feedback_total", "status"), "{{status}}"),),
        ),
        Panel(
            kind="lines",
            title="Feedback by result",
            description=(
                "`taken` is good. `waiting` swells: the decisions do not reach learn. `repeated`: a sender tells all twice. "
                "`ignored`: see What learn could not use."
            ),
            unit="cps",
            queries=(Query(_rate("attune_feedback_total", "result"), "{{result}}"),),
        ),
        Panel(
            kind="stacked",
            title="Conversions by campaign",
            description="Orders within a message's attribution window. 0 while orders come: does feedback arrive before them?",
            unit="cps",
            queries=(Query(_rate("attune_conversions_total", "campaign", CAMPAIGN), "{{campaign}}"),),
        ),
        Panel(
            kind="stacked",
            title="Arms drawn",
            description=(
                "What learning prefers; each arm keeps a share of `epsilon`. One arm takes nearly all within minutes: look at "
                "`attune stats --by arm`, and whether a sender reports clicks that are none."
            ),
            unit="cps",
            queries=(Query(_rate("attune_arms_total", "arm", CAMPAIGN), "{{arm}}"),),
        ),
        Panel(
            kind="lines",
            title="Revenue",
            description="Of the conversions, per second; never added up over currencies. For the business, not for the night.",
            unit="short",
            queries=(Query(_rate("attune_revenue_total", "currency"), "{{currency}}"),),
        ),
        Panel(
            kind="stacked",
            title="What learn could not use",
            description=(
                "Feedback by reason, then records of other topics. `unknown_message`, `wrong_customer`: the sender mixes up ids. "
                "`before_message`, `future`: its clock is off. `late` decisions: learn was down for too long."
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
        description="Is it working, and if not, where does it stop? Made by infra/grafana/dashboard.py.",
        rows=ROWS,
        variables=VARIABLES,
    )
    return json.dumps(model, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(render())
