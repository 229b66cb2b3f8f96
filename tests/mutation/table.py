"""Lists the modules to mutate and their tests. Files that run a module only incidentally are left out, because they are slow."""

from __future__ import annotations

#: Module → its test files.
TESTS: dict[str, tuple[str, ...]] = {
    "workers.core.publishing.messages": ("tests/unit/test_publishing.py", "tests/unit/test_personalise.py"),
    "workers.core.decisioning.policy": ("tests/unit/test_ruling.py", "tests/unit/test_policy.py"),
    "workers.core.decisioning.frequency_caps": ("tests/unit/test_ruling.py", "tests/unit/test_policy.py"),
    "workers.core.publishing.recheck": ("tests/unit/test_publishing.py", "tests/unit/test_personalise.py"),
    "workers.core.profile.consent": ("tests/unit/test_consent.py", "tests/unit/test_minors.py"),
    "workers.core.profile.ages": ("tests/unit/test_minors.py",),
    "workers.core.profile.feedback": ("tests/unit/test_hearing.py",),
    "workers.core.partition.clock": ("tests/unit/test_partition_clocks.py",),
    "workers.core.attribution.clock": ("tests/unit/test_partition_clocks.py",),
    "workers.core.partition.timers": ("tests/unit/test_timers.py",),
    "workers.core.profile.fold": ("tests/unit/test_fold.py", "tests/unit/test_told_again.py"),
    "workers.core.profile.carts": ("tests/unit/test_carts.py", "tests/unit/test_told_again.py"),
    "workers.core.profile.orders": ("tests/unit/test_purchases.py", "tests/unit/test_told_again.py"),
    "workers.core.profile.dedupe": ("tests/unit/test_dedupe.py",),
    "workers.core.profile.decay": ("tests/unit/test_decay.py",),
    "workers.core.decisioning.quiet_hours": ("tests/unit/test_quiet_hours.py",),
    "workers.core.experimentation.bandit": ("tests/unit/test_bandit.py",),
    "workers.core.experimentation.sampling": ("tests/unit/test_bandit.py",),
    "workers.core.attribution.attribution": ("tests/unit/test_attribution.py", "tests/unit/test_learning.py"),
    "workers.core.attribution.aggregates": ("tests/unit/test_attribution.py", "tests/unit/test_learning.py"),
    "workers.core.guardrails.grounding.prices": ("tests/unit/test_prices.py", "tests/unit/test_markets.py"),
    "workers.core.guardrails.checks.numbers": ("tests/unit/test_numbers.py",),
    "workers.core.guardrails.grounding.amounts": ("tests/unit/test_numbers.py",),
    "workers.core.guardrails.checks.privacy": ("tests/unit/test_reach.py",),
    "workers.core.guardrails.checks.contact": ("tests/unit/test_reach.py",),
    "workers.delivery.transports.smtp": ("tests/unit/test_smtp.py", "tests/unit/test_mail_replies.py"),
    "workers.delivery.mail_replies": ("tests/unit/test_mail_replies.py",),
    "workers.delivery.unsubscribe": ("tests/unit/test_unsubscribe.py",),
}
