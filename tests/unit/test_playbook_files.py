"""Reading a playbook folder: every mistake is reported with file, line and what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support.playbooks import REES46, SMART_DEVICES, copy_of
from workers.adapters.playbook.loader import examine, load
from workers.commands.content.playbook import playbook as command
from workers.core.errors import Misconfigured

ZH_TEMPLATES, EN_TEMPLATES = "templates/zh/cart-abandonment.yaml", "templates/en/cart-abandonment.yaml"
QUESTION = "prompts/en/cart-abandonment-question.j2"
ZH_PROMPT, EN_PROMPT = "prompts/zh/cart-abandonment.j2", "prompts/en/cart-abandonment.j2"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the first playbook."""
    return copy_of(SMART_DEVICES, tmp_path / "smart-devices")


@pytest.mark.slow
@pytest.mark.parametrize("shipped", [SMART_DEVICES, REES46], ids=lambda path: path.name)
def test_the_shipped_playbooks_are_right(shipped: Path) -> None:
    playbook, problems = examine(shipped)
    assert problems == []
    assert playbook is not None
    assert playbook.name == shipped.name
    assert set(playbook.campaigns) == {"cart-abandonment", "repeat-view", "browse-abandonment", "cross-sell"}
    groups = [*(group.id for group in playbook.audiences.target_groups), None]
    for campaign, language in product(playbook.campaigns.values(), playbook.languages):
        assert campaign.mode == "live"
        for prompt in (campaign.prompt, *(variant.prompt for variant in campaign.variants)):
            assert (prompt, language) in playbook.prompts
        for channel, group in product(campaign.channels, groups):
            assert (campaign.prompt, language, group, channel) in playbook.templates


def replace(file: str, old: str, new: str) -> Callable[[Path], None]:
    """A mistake: the first `old` in a file becomes `new`."""

    def spoil(folder: Path) -> None:
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new, 1))

    return spoil


def line_of(folder: Path, file: str, words: str) -> int:
    """The line in which words stand first, counted from 1."""
    text = (folder / file).read_text()
    return text.count("\n", 0, text.index(words)) + 1


MISTAKES = {
    "unknown field": (
        replace("campaigns.yaml", "    goal:", "    gaol:"),
        "campaigns.yaml",
        "gaol:",
        "campaigns[0].gaol: this field is not known (did you mean `goal`?); allowed: id, name, trigger",
    ),
    "missing field": (
        replace("campaigns.yaml", "    prompt: cart-abandonment\n", ""),
        "campaigns.yaml",
        "- id: cart-abandonment",
        "campaigns[0]: `prompt` is missing",
    ),
    "wrong type": (
        replace("campaigns.yaml", "deadline_s: 60", "deadline_s: soon"),
        "campaigns.yaml",
        "deadline_s",
        "campaigns[0].deadline_s: is text (soon); allowed: a number above 0",
    ),
    "number as text": (
        replace("products.yaml", "sku: AT-BAND-01", "sku: 12345"),
        "products.yaml",
        "sku: 12345",
        "products[0].sku: is a number (12345); allowed: text; put it in quotes",
    ),
    "out of range": (
        replace("campaigns.yaml", "priority: 5", "priority: 12"),
        "campaigns.yaml",
        "priority: 12",
        "campaigns[0].priority: 12 is out of range; allowed: a whole number at least 0 and at most 9",
    ),
    "not finite": (
        replace("campaigns.yaml", "ttl_s: 86400", "ttl_s: .inf"),
        "campaigns.yaml",
        "ttl_s: .inf",
        "campaigns[0].ttl_s: inf is out of range",
    ),
    "unknown strategy": (
        replace("campaigns.yaml", "    mode: live", "    strategy: pool\n    mode: live"),
        "campaigns.yaml",
        "strategy: pool",
        "campaigns[0].strategy: ",
    ),
    "miss of a campaign that is not pooled": (
        replace("campaigns.yaml", "    mode: live", "    pool_miss: fresh\n    mode: live"),
        "campaigns.yaml",
        "pool_miss",
        "campaigns[0].pool_miss: has no effect with strategy `fresh`; allowed: strategy: pooled",
    ),
    "unknown trigger": (
        replace("campaigns.yaml", "type: cart_abandonment", "type: cart_abandoned"),
        "campaigns.yaml",
        "cart_abandoned",
        "campaigns[0].trigger.type: `cart_abandoned` is not known (did you mean `cart_abandonment`?); allowed: cart_abandonment",
    ),
    "missing trigger type": (
        replace("campaigns.yaml", "{type: cart_abandonment, delay_s: 1800}", "{delay_s: 1800}"),
        "campaigns.yaml",
        "trigger:",
        "campaigns[0].trigger: `type` is missing; allowed: cart_abandonment, repeat_view, browse_abandonment, cross_sell",
    ),
    "a campaign that calls itself transactional": (
        replace("campaigns.yaml", "    mode: live", "    category: transactional\n    mode: live"),
        "campaigns.yaml",
        "category: transactional",
        "campaigns[0].category: `transactional` does not fit the trigger `cart_abandonment`",
    ),
    "consent of a channel that does not exist": (
        replace("policy.yaml", "caps:", "consent_categories: {Advertising: [pusch:marketing]}\ncaps:"),
        "policy.yaml",
        "pusch",
        "consent_categories.Advertising[0]: channel `pusch` is not known (did you mean `push`?)",
    ),
    "unknown tone": (
        replace("campaigns.yaml", "tones: [warm, brisk]", "tones: [warm, frisk]"),
        "campaigns.yaml",
        "frisk",
        "campaigns[0].tones[1]: tone `frisk` is not known (did you mean `brisk`?); allowed: warm, brisk",
    ),
    "tone named twice": (
        replace("campaigns.yaml", "tones: [warm, brisk]", "tones: [warm, warm]"),
        "campaigns.yaml",
        "[warm, warm]",
        "campaigns[0].tones[1]: tone `warm` appears twice",
    ),
    "duplicate tone": (
        replace("campaigns.yaml", "- id: brisk", "- id: warm"),
        "campaigns.yaml",
        "- id: warm\n    hint: {zh: 简短",
        "tones[1].id: id `warm` appears twice",
    ),
    "tone without a language": (
        replace("campaigns.yaml", ", en: warm and personal}", "}"),
        "campaigns.yaml",
        "hint:",
        "tones[0].hint: en is missing",
    ),
    "duplicate variant": (
        replace("campaigns.yaml", "{id: question,", "{id: plain,"),
        "campaigns.yaml",
        "{id: plain, prompt: cart-abandonment-question}",
        "campaigns[0].variants[1].id: id `plain` appears twice",
    ),
    "variant that says nothing": (
        replace("campaigns.yaml", "{id: question,", "{id: no-send,"),
        "campaigns.yaml",
        "{id: no-send,",
        "campaigns[0].variants[1].id: `no-send` is reserved for the arm that sends nothing; allowed: another id",
    ),
    "variant with a dot": (
        replace("campaigns.yaml", "{id: question,", "{id: question.2,"),
        "campaigns.yaml",
        "question.2",
        "campaigns[0].variants[1].id: `question.2` does not fit",
    ),
    "variant with an unknown prompt": (
        replace("campaigns.yaml", "prompt: cart-abandonment-question", "prompt: cart-abandonment-riddle"),
        "campaigns.yaml",
        "cart-abandonment-riddle",
        "campaigns[0].variants[1].prompt: prompt `cart-abandonment-riddle` is not known",
    ),
    "ramp without a share": (
        replace("campaigns.yaml", "mode: live", "mode: ramp"),
        "campaigns.yaml",
        "- id: cart-abandonment\n",
        "campaigns[0].ramp_percent: is 0, and the mode is `ramp`; allowed: above 0 and at most 100",
    ),
    "share without a ramp": (
        replace("campaigns.yaml", "mode: live", "mode: live\n    ramp_percent: 10"),
        "campaigns.yaml",
        "ramp_percent",
        "campaigns[0].ramp_percent: has no effect in mode `live`; allowed: only with mode: ramp",
    ),
    "unknown mode": (
        replace("campaigns.yaml", "mode: live", "mode: alive"),
        "campaigns.yaml",
        "alive",
        "campaigns[0].mode: `alive` is not known (did you mean `live`?); allowed: ",
    ),
    "empty allowlist": (
        replace("campaigns.yaml", "mode: live", "mode: allowlist"),
        "campaigns.yaml",
        "mode: allowlist",
        "campaigns[0].mode: `allowlist` is empty in policy.yaml; allowed: user_ids",
    ),
    "nothing to offer": (
        replace("campaigns.yaml", "offer: [accessories, viewed]", "offer: []"),
        "campaigns.yaml",
        "offer: []",
        "campaigns[3].trigger.offer: is empty; allowed: accessories, viewed",
    ),
    "the same offer twice": (
        replace("campaigns.yaml", "offer: [accessories, viewed]", "offer: [viewed, viewed]"),
        "campaigns.yaml",
        "[viewed, viewed]",
        "campaigns[3].trigger.offer[1]: offer `viewed` appears twice",
    ),
    "too few views": (
        replace("campaigns.yaml", "views: 3", "views: 1"),
        "campaigns.yaml",
        "views: 1",
        "campaigns[1].trigger.views: 1 is out of range; allowed: a whole number at least 2 and at most 20",
    ),
    "thresholds the wrong way round": (
        replace("policy.yaml", "quiet_hours:", "claims: {pass_below: 0.7, reject_from: 0.6}\nquiet_hours:"),
        "policy.yaml",
        "claims:",
        "claims.reject_from: 0.6 is less than `pass_below` (0.7); allowed: pass_below to 1",
    ),
    "no quiet hours at all": (
        replace("policy.yaml", 'end: "08:00"', 'end: "22:00"'),
        "policy.yaml",
        "quiet_hours:",
        "quiet_hours.end: `22:00` is also the start",
    ),
    "a time without quotes": (
        replace("policy.yaml", 'start: "22:00"', "start: 22:00"),
        "policy.yaml",
        "quiet_hours:",
        "quiet_hours.start: is a number (22:00); allowed: text that fits",
    ),
    "no time of day": (
        replace("policy.yaml", 'start: "22:00"', 'start: "24:00"'),
        "policy.yaml",
        "quiet_hours:",
        "quiet_hours.start: `24:00` does not fit",
    ),
    "unknown zone": (
        replace("policy.yaml", "Asia/Shanghai", "Asia/Shangai"),
        "policy.yaml",
        "quiet_hours:",
        "quiet_hours.timezone: `Asia/Shangai` is not a time zone (did you mean `Asia/Shanghai`?)",
    ),
    "quiet on an unknown channel": (
        replace("policy.yaml", "timezone: Asia/Shanghai", "timezone: Asia/Shanghai, channels: [pusch]"),
        "policy.yaml",
        "quiet_hours:",
        "quiet_hours.channels[0]: channel `pusch` is not known (did you mean `push`?)",
    ),
    "quiet on no channel": (
        replace("policy.yaml", "timezone: Asia/Shanghai", "timezone: Asia/Shanghai, channels: []"),
        "policy.yaml",
        "quiet_hours:",
        "quiet_hours.channels: is empty; allowed: at least one channel",
    ),
    "more than all are held out": (
        replace("policy.yaml", "holdout: 0.05", "holdout: 5"),
        "policy.yaml",
        "holdout: 5",
        "holdout: 5 is out of range; allowed: a number at least 0 and at most 1",
    ),
    "unknown reward": (
        replace("policy.yaml", "clicked: 0.3", "clickd: 0.3"),
        "policy.yaml",
        "rewards:",
        "learning.rewards.clickd: this field is not known (did you mean `clicked`?)",
    ),
    "unknown rule pack": (
        replace("policy.yaml", "cn_prices, no_medical]", "cn_price, no_medical]"),
        "policy.yaml",
        "cn_price,",
        "markets[0].rule_packs[1]: rule pack `cn_price` is not known (did you mean `cn_prices`?); allowed: cn_advertising",
    ),
    "rule pack named twice": (
        replace("policy.yaml", "cn_prices, no_medical]", "no_medical, no_medical]"),
        "policy.yaml",
        "no_medical, no_medical",
        "markets[0].rule_packs[2]: rule pack `no_medical` appears twice",
    ),
    "a union as a country": (
        replace("policy.yaml", "regions: [GB]", "regions: [EU]"),
        "policy.yaml",
        "regions: [EU]",
        "markets[2].regions[0]: `EU` is not a country code; allowed: codes of ISO 3166-1",
    ),
    "a country by its nickname": (
        replace("policy.yaml", "regions: [GB]", "regions: [UK]"),
        "policy.yaml",
        "regions: [UK]",
        "markets[2].regions[0]: `UK` is not a country code (did you mean `GB`?)",
    ),
    "a region in small letters": (
        replace("policy.yaml", "regions: [GB]", "regions: [gb]"),
        "policy.yaml",
        "regions: [gb]",
        "markets[2].regions[0]: `gb` does not fit",
    ),
    "a country in two markets": (
        replace("policy.yaml", "regions: [GB]", "regions: [GB, CN]"),
        "policy.yaml",
        "regions: [GB, CN]",
        "markets[2].regions[1]: region `CN` is also in the market `cn`; allowed: one market for each region",
    ),
    "a market without customers": (
        replace("policy.yaml", "regions: [GB]", "regions: []"),
        "policy.yaml",
        "regions: []",
        "markets[2].regions: is empty, and no `default_market` names it",
    ),
    "duplicate market": (
        replace("policy.yaml", "- id: gb", "- id: cn"),
        "policy.yaml",
        "- id: cn\n    regions: [GB]",
        "markets[2].id: id `cn` appears twice",
    ),
    "unknown default market": (
        replace("policy.yaml", "{zh: cn, en: us}", "{zh: cn, en: usa}"),
        "policy.yaml",
        "default_market:",
        "default_market.en: market `usa` is not known (did you mean `us`?); allowed: cn, eu, gb, us",
    ),
    "no default market of a language": (
        replace("policy.yaml", "{zh: cn, en: us}", "{zh: cn}"),
        "policy.yaml",
        "default_market:",
        "default_market: en is missing; allowed: a market for zh, en",
    ),
    "a required label that is missing": (
        replace("policy.yaml", "  en: Written with the help of AI\n", ""),
        "policy.yaml",
        "ai_label_required: true       # AI Act",
        "markets[1].ai_label_required: there is no `ai_label` in en, and the market `eu` requires one; allowed: `ai_label` of",
    ),
    "an empty label of a market": (
        replace("policy.yaml", "en: Generated by AI}", 'en: " "}'),
        "policy.yaml",
        "ai_label: {zh: 本内容由人工智能生成, en: ",
        "markets[0].ai_label.en: is empty; allowed: text",
    ),
    "unknown field of a market": (
        replace("policy.yaml", "ai_label_required: true", "ai_label_require: true"),
        "policy.yaml",
        "ai_label_require:",
        "markets[0].ai_label_require: this field is not known (did you mean `ai_label_required`?)",
    ),
    "a voice in one language": (
        replace("policy.yaml", "voice:\n", "voice:\n  hint: {en: plain and warm}\n"),
        "policy.yaml",
        "hint: {en",
        "voice.hint: zh is missing",
    ),
    "a word avoided twice": (
        replace("policy.yaml", "omg, insane", "omg, omg"),
        "policy.yaml",
        "omg, omg",
        "voice.avoid[5]: word `omg` appears twice",
    ),
    "an empty word to avoid": (
        replace("policy.yaml", "omg, insane", 'omg, " "'),
        "policy.yaml",
        'omg, " "',
        "voice.avoid[5]: ` ` does not fit",
    ),
    "template against the law of one market": (
        replace(ZH_TEMPLATES, "腕间有型", "无与伦比"),
        ZH_TEMPLATES,
        "  young:",
        'push.young: breaks the guardrail market: "无与伦比": superlatives and similar expressions may not be used in',
    ),
    "template with a word of no market's law but the house's": (
        replace(EN_TEMPLATES, "A look that is all you", "A flawless look"),
        EN_TEMPLATES,
        "  young:",
        'push.young: breaks the guardrail banned_words: "flawless"',
    ),
    "template with a word to avoid": (
        replace(EN_TEMPLATES, "A look that is all you", "An insane look"),
        EN_TEMPLATES,
        "  young:",
        'push.young: breaks the guardrail voice: "insane"',
    ),
    "unknown channel": (
        replace("campaigns.yaml", "[push, email]", "[push, emial]"),
        "campaigns.yaml",
        "emial",
        "campaigns[0].channels[1]: channel `emial` is not known (did you mean `email`?); allowed: push, email, sms, in_app",
    ),
    "unknown prompt": (
        replace("campaigns.yaml", "prompt: cart-abandonment", "prompt: cart-abandoned"),
        "campaigns.yaml",
        "prompt: cart-abandoned",
        "campaigns[0].prompt: prompt `cart-abandoned` is not known (did you mean `cart-abandonment`?)",
    ),
    "unknown default group": (
        replace("audiences.yaml", "default_target_group: young", "default_target_group: old"),
        "audiences.yaml",
        "default_target_group",
        "default_target_group: target group `old` is not known; allowed: sports, business, young",
    ),
    "unknown product": (
        replace("products.yaml", "accessory_of: [smart-band]", "accessory_of: [smart-bend]"),
        "products.yaml",
        "[smart-bend]",
        "accessory_of[0]: product `smart-bend` is not known (did you mean `smart-band`?)",
    ),
    "unknown language": (
        replace(
            "channels.yaml", "        en: {min_chars: 6, max_chars: 50}", "        eng: {min_chars: 6, max_chars: 50}"
        ),
        "channels.yaml",
        "eng:",
        "language `eng` is not known (did you mean `en`?); allowed: zh, en",
    ),
    "missing language": (
        replace("campaigns.yaml", "name: {zh: 购物车提醒, en: Cart reminder}", "name: {zh: 购物车提醒}"),
        "campaigns.yaml",
        "name: {zh",
        "campaigns[0].name: en is missing",
    ),
    "reserved group": (
        replace("audiences.yaml", "- id: young", "- id: generic"),
        "audiences.yaml",
        "- id: generic",
        "`generic` is reserved for texts without a group",
    ),
    "wrong rule": (
        replace("audiences.yaml", "field: interest.sports, at_least: 2.5", "field: interests.sports, at_least: 2.5"),
        "audiences.yaml",
        "interests.sports",
        "target_groups[0].when.any[2].field: `interests.sports` is not known; allowed: traits.NAME",
    ),
    "duplicate product": (
        replace("products.yaml", "product_id: ear-tips", "product_id: smart-band"),
        "products.yaml",
        "product_id: smart-band\n    sku: AT-TIPS-01",
        "products[6].product_id: product_id `smart-band` appears twice",
    ),
    "duplicate campaign key": (
        replace("campaigns.yaml", "    priority: 5", "    priority: 5\n    priority: 6"),
        "campaigns.yaml",
        "priority: 6",
        "campaigns[0].priority: appears twice",
    ),
    "bad currency": (
        replace("products.yaml", "currency: CNY", "currency: yuan"),
        "products.yaml",
        "currency: yuan",
        "products[0].currency: `yuan` is not a currency code; allowed: three capital letters",
    ),
    "unsafe link": (
        replace("products.yaml", "url: https://shop", "url: javascript://shop"),
        "products.yaml",
        "javascript",
        "products[0].url: `javascript://shop.example/products/smart-band` is not an https link; allowed: https://",
    ),
    "limits upside down": (
        replace("channels.yaml", "{min_chars: 4, max_chars: 20}", "{min_chars: 40, max_chars: 20}"),
        "channels.yaml",
        "min_chars: 40",
        "channels[0].fields.title.zh: the limits are out of order",
    ),
    "no limit at all": (
        replace("channels.yaml", "{min_chars: 4, max_chars: 20}", "{min_chars: 4}"),
        "channels.yaml",
        "zh: {min_chars: 4}",
        "channels[0].fields.title.zh: has no limit; allowed: max_chars, max_bytes, max_columns",
    ),
    "a limit of nothing": (
        replace("channels.yaml", "max_segments: 1", "max_segments: 0"),
        "channels.yaml",
        "max_segments: 0",
        "channels[2].fields.body.en.max_segments: 0 is out of range; allowed: a whole number at least 1",
    ),
    "segments of a push": (
        replace("channels.yaml", "{min_chars: 4, max_chars: 20}", "{min_chars: 4, max_segments: 1}"),
        "channels.yaml",
        "zh: {min_chars: 4, max_segments: 1}",
        "title.zh.max_segments: only the body of an SMS is sent in segments; allowed: max_chars, max_bytes, max_columns",
    ),
    "bytes that leave too little": (
        replace("channels.yaml", "{min_chars: 4, max_chars: 20}", "{min_chars: 4, max_bytes: 9}"),
        "channels.yaml",
        "max_bytes: 9",
        "channels[0].fields.title.zh: the limits are out of order: 9 bytes leave 3 characters, but min_chars is 4",
    ),
    "a vendor who leaves too little": (
        replace("channels.yaml", "apns: {payload_bytes", "apns: {title: {max_columns: 6}, payload_bytes"),
        "channels.yaml",
        "zh: {min_chars: 4, max_chars: 20}",
        "title.zh: the limits are out of order: 6 columns of `apns` leave 3 characters, but min_chars is 4; allowed: a",
    ),
    "a suffix that leaves too little": (
        replace("channels.yaml", "suffix: {en: Reply STOP", "suffix: {en: " + "Please reply STOP " * 8),
        "channels.yaml",
        "en: {min_chars: 25, max_segments: 1}",
        "body.en: the limits are out of order: 1 segments, including the suffix, leave ",
    ),
    "a suffix where there is none": (
        replace(
            "channels.yaml",
            "    list_id: marketing-push\n",
            "    list_id: marketing-push\n    suffix: {zh: 再见, en: Bye}\n",
        ),
        "channels.yaml",
        "suffix: {zh: 再见",
        "channels[0].suffix: only sms has a suffix; allowed: omit the field on push",
    ),
    "a suffix that the provider sends": (
        replace("channels.yaml", "suffix: {en:", "suffix: {zh: 拒收请回复R, en:"),
        "channels.yaml",
        "suffix: {zh:",
        "channels[2].suffix.zh: is never sent: the provider templates contain it",
    ),
    "a suffix of two lines": (
        replace("channels.yaml", "suffix: {en: Reply STOP to opt out}", 'suffix: {en: "Reply\\nSTOP"}'),
        "channels.yaml",
        "suffix: {en:",
        "channels[2].suffix.en: contains a line break or an invisible character; allowed: one line of text",
    ),
    "a suffix with more emoji than the channel allows": (
        replace("channels.yaml", "suffix: {en: Reply STOP to opt out}", "suffix: {en: Reply STOP 🛑}"),
        "channels.yaml",
        "suffix: {en:",
        "channels[2].suffix.en: has 1 emoji; allowed: at most 0 (max_emoji)",
    ),
    "fewer emoji than none": (
        replace("channels.yaml", "max_emoji: 0", "max_emoji: -1"),
        "channels.yaml",
        "max_emoji: -1",
        "channels[2].max_emoji: -1 is out of range; allowed: a whole number at least 0",
    ),
    "vendors of e-mail": (
        replace(
            "channels.yaml", "    rate_per_s: 50\n", "    rate_per_s: 50\n    vendors: {apns: {payload_bytes: 10}}\n"
        ),
        "channels.yaml",
        "vendors: {apns: {payload_bytes: 10}}",
        "channels[1].vendors: only push has vendors; allowed: omit the field on email",
    ),
    "a vendor without limits": (
        replace("channels.yaml", "fcm: {payload_bytes: 4096}", "fcm: {languages: [zh]}"),
        "channels.yaml",
        "fcm:",
        "channels[0].vendors.fcm: sets no limit; allowed: title, body, payload_bytes",
    ),
    "a vendor of an unknown language": (
        replace("channels.yaml", "fcm: {payload_bytes: 4096}", "fcm: {languages: [zn], payload_bytes: 4096}"),
        "channels.yaml",
        "fcm:",
        "channels[0].vendors.fcm.languages[0]: language `zn` is not known; allowed: zh, en",
    ),
    "a vendor's empty limit": (
        replace("channels.yaml", "fcm: {payload_bytes: 4096}", "fcm: {body: {}}"),
        "channels.yaml",
        "fcm:",
        "channels[0].vendors.fcm.body: has no limit; allowed: max_chars, max_bytes, max_columns",
    ),
    "a vendor's unknown limit": (
        replace("channels.yaml", "fcm: {payload_bytes: 4096}", "fcm: {payload_byte: 4096}"),
        "channels.yaml",
        "fcm:",
        "channels[0].vendors.fcm.payload_byte: this field is not known (did you mean `payload_bytes`?)",
    ),
    "e-mail without a way out": (
        replace("channels.yaml", "    unsubscribe_url: https://shop.example/unsubscribe\n", ""),
        "channels.yaml",
        "- id: email",
        "channels[1].unsubscribe_url: is missing; marketing of `cart-abandonment` needs an unsubscribe link (RFC 8058); allowed: https://",
    ),
    "an unsafe way out": (
        replace("channels.yaml", "unsubscribe_url: https:", "unsubscribe_url: http:"),
        "channels.yaml",
        "unsubscribe_url",
        "channels[1].unsubscribe_url: `http://shop.example/unsubscribe` is not an https link; allowed: https://...",
    ),
    "an unknown source": (
        replace("channels.yaml", "source: product.name", "source: product.nam"),
        "channels.yaml",
        "product.nam,",
        "params.name.source: `product.nam` is not known (did you mean `product.name`?); allowed: campaign.cta, group.name, ",
    ),
    "a parameter without a source": (
        replace("channels.yaml", "{source: product.name, max_chars: 20}", "{max_chars: 20}"),
        "channels.yaml",
        "params: {name:",
        "channels[2].provider_templates[0].params.name: has no source; allowed: source: product.name,",
    ),
    "a parameter with two sources": (
        replace(
            "channels.yaml",
            "{source: product.name, max_chars: 20}",
            "{source: product.name, fixed: 手环, max_chars: 20}",
        ),
        "channels.yaml",
        "params: {name:",
        "provider_templates[0].params.name: has two sources; allowed: `source` or `fixed`",
    ),
    "a fixed text that is too long": (
        replace("channels.yaml", "{source: product.name, max_chars: 20}", "{fixed: 智能手环, max_chars: 3}"),
        "channels.yaml",
        "params: {name:",
        "provider_templates[0].params.name.fixed: has 4 characters; allowed: max_chars: 3",
    ),
    "a place without a parameter": (
        replace("channels.yaml", "您挑选的${name}", "您挑选的${nmae}"),
        "channels.yaml",
        "text: 您挑选的${nmae}",
        "provider_templates[0].text: parameter `nmae` is not known (did you mean `name`?); allowed: name",
    ),
    "a parameter without a place": (
        replace("channels.yaml", "您挑选的${name}", "您挑选的商品"),
        "channels.yaml",
        "params: {name:",
        "provider_templates[0].params.name: is not used in the text; allowed: {name} in `text`",
    ),
    "a provider template of an unknown campaign": (
        replace("channels.yaml", "campaigns: [cart-abandonment]", "campaigns: [cart-abandoned]"),
        "channels.yaml",
        "[cart-abandoned]",
        "provider_templates[0].campaigns[0]: campaign `cart-abandoned` is not known (did you mean `cart-abandonment`?)",
    ),
    "a provider template of no campaign": (
        replace("channels.yaml", "campaigns: [cart-abandonment]", "campaigns: []"),
        "channels.yaml",
        "campaigns: []",
        "provider_templates[0].campaigns: is empty; allowed: at least one campaign; omit the field for all campaigns",
    ),
    "a provider template named twice": (
        replace("channels.yaml", "SMS_100000002", "SMS_100000001"),
        "channels.yaml",
        "- id: SMS_100000001\n        language: zh\n        campaigns: [cart-abandonment]\n        text: 您挑选的${category}",
        "channels[2].provider_templates[1].id: id `SMS_100000001` appears twice",
    ),
    "a limit where nothing is written": (
        replace(
            "channels.yaml",
            "en: {min_chars: 25, max_segments: 1}",
            "zh: {max_chars: 60}\n        en: {max_segments: 1}",
        ),
        "channels.yaml",
        "zh: {max_chars: 60}\n        en: {max_segments",
        "channels[2].fields.body.zh: has no effect: zh is sent as provider templates; allowed: en",
    ),
    "words where nothing is written": (
        replace(ZH_TEMPLATES, "in_app:\n", "sms:\n"),
        ZH_TEMPLATES,
        "sms:",
        "sms: is never used: sms sends provider templates in zh; allowed: channels without them",
    ),
    "a provider template that is never chosen": (
        replace("channels.yaml", "{source: product.name, max_chars: 20}", "{fixed: 手环, max_chars: 20}"),
        "channels.yaml",
        "- id: SMS_100000002",
        "channels[2].provider_templates[1]: is never chosen: `SMS_100000001` always matches first",
    ),
    "a provider template that never fits": (
        replace("channels.yaml", "{source: product.name, max_chars: 20}", "{source: product.name, max_chars: 1}"),
        "channels.yaml",
        "- id: SMS_100000001",
        "channels[2].provider_templates[0]: is never chosen: name ",
    ),
    "unknown message field": (
        replace("channels.yaml", "      title:", "      headline:"),
        "channels.yaml",
        "headline",
        "field `headline` is not known; allowed: title, body",
    ),
    "is not longer than the deadline": (
        replace("campaigns.yaml", "ttl_s: 86400", "ttl_s: 30"),
        "campaigns.yaml",
        "ttl_s: 30",
        "campaigns[0].ttl_s: 30 is not longer than the deadline; allowed: more than 60",
    ),
    "tab": (
        replace("policy.yaml", "  zh: 本内容", "\tzh: 本内容"),
        "policy.yaml",
        "\tzh",
        "the indentation contains a tab; allowed: spaces",
    ),
    "broken yaml": (
        replace("policy.yaml", "languages: [zh, en]", "languages: [zh, en"),
        "policy.yaml",
        "caps:",
        "not valid YAML",
    ),
    "alias": (
        replace("policy.yaml", "languages: [zh, en]", "languages: &all [zh, en]"),
        "policy.yaml",
        "&all",
        "anchors and aliases (& and *) are not supported",
    ),
    "tag": (
        replace("policy.yaml", "  zh: 本内容", "  zh: !!python/name:os.system 本内容"),
        "policy.yaml",
        "!!python",
        "the tag tag:yaml.org,2002:python/name:os.system is not supported",
    ),
    "jinja syntax in a prompt": (
        replace(EN_PROMPT, "{{ group.name }}", "{{ group.name }"),
        EN_PROMPT,
        "{{ group.name }",
        "Jinja: unexpected '}'",
    ),
    "undefined variable in a prompt": (
        replace(ZH_PROMPT, "{{ goal }}", "{{ gaol }}"),
        ZH_PROMPT,
        "{{ gaol }}",
        "`gaol` is not defined (did you mean `goal`?); allowed: language, channel, goal",
    ),
    "undefined field in a branch": (
        replace(
            ZH_PROMPT,
            "{% if product.category %}",
            "{% if product.quantity > 99 %}{{ product.prise }}{% endif %}{% if product.category %}",
        ),
        ZH_PROMPT,
        "product.prise",
        "`product.prise` is not defined (did you mean `price`?)",
    ),
    "prompt that cannot render": (
        replace(EN_PROMPT, "{{ group.name }}", "{{ group.name + 1 }}"),
        EN_PROMPT,
        "{{ group.name + 1 }}",
        "Jinja: can only concatenate str",
    ),
    "unknown role": (
        replace(EN_PROMPT, "=== system ===", "=== root ==="),
        EN_PROMPT,
        "=== root",
        "`root` is not a role",
    ),
    "wrong decoding": (
        replace(EN_PROMPT, "temperature: 0.3", "temperature: 3"),
        EN_PROMPT,
        "temperature: 3",
        "temperature: 3 is out of range; allowed: a number at least 0 and at most 2",
    ),
    "example word that is not there": (
        replace(EN_PROMPT, "example_words: [", "example_words: [sun hat, "),
        EN_PROMPT,
        "---",
        "example_words: `sun hat` is not in the prompt",
    ),
    "jinja syntax in a template": (
        replace(EN_TEMPLATES, "{% elif product.facts %}", "{% elsif product.facts %}"),
        EN_TEMPLATES,
        "    body: >-",
        "push.young.body: Jinja: Encountered unknown tag 'elsif'",
    ),
    "unknown tone in a template": (
        replace(EN_TEMPLATES, "tone == 'brisk'", "tone == 'brsk'"),
        EN_TEMPLATES,
        "    title: >-",
        "push.young.title: tone `brsk` is not known (did you mean `brisk`?); allowed: warm, brisk",
    ),
    "unknown tone in a prompt": (
        replace(EN_PROMPT, "tone.id == 'warm'", "tone.id == 'worm'"),
        EN_PROMPT,
        "'worm'",
        "tone `worm` is not known (did you mean `warm`?); allowed: warm, brisk",
    ),
    "one tone of a template too long": (
        replace(EN_TEMPLATES, "In your cart, one tap away.", "In your cart, one tap away. " + "Have a look. " * 12),
        EN_TEMPLATES,
        "  young:",
        "push.young: breaks the guardrail length",
    ),
    "unknown filter": (
        replace(EN_TEMPLATES, "| listed(2) |", "| listd(2) |"),
        EN_TEMPLATES,
        "    body: >-",
        "push.young.body: Jinja: there is no filter `listd` (did you mean `listed`?)",
    ),
    "undefined variable in a template": (
        replace(EN_TEMPLATES, "Your cart is saved", "{{ product.name }} is saved"),
        EN_TEMPLATES,
        "    title: >-\n      {% if tone == 'warm' %}We kept your cart",
        "push.generic.title: `product` is not defined; allowed: language, channel",
    ),
    "template for an unknown group": (
        replace(ZH_TEMPLATES, "\n  sports:", "\n  sport:"),
        ZH_TEMPLATES,
        "  sport:",
        "push.sport: target group `sport` is not known (did you mean `sports`?); allowed: sports, business, young, generic",
    ),
    "missing template": (
        replace(ZH_TEMPLATES, "\n  sports:", "\n  sport:"),
        ZH_TEMPLATES,
        "push:",
        "push.sports: is missing; campaign `cart-abandonment` needs it",
    ),
    "template without a field": (
        replace(ZH_TEMPLATES, '    cta_text: "查看购物车"\n', ""),
        ZH_TEMPLATES,
        "  generic:\n    email_subject",
        "email.generic: `cta_text` is missing; allowed: email_subject, preheader, body, cta_text",
    ),
    "template too long": (
        replace(ZH_TEMPLATES, "购物车里还有商品", "购物车里还有商品" * 4),
        ZH_TEMPLATES,
        "  generic:",
        "push.generic: breaks the guardrail length: title has 32 characters, allowed are 4 to 20",
    ),
    "template with a link": (
        replace(
            EN_TEMPLATES, "Still in your cart whenever you like.", "Still in your cart at https://shop.example now."
        ),
        EN_TEMPLATES,
        "  young:",
        "push.young: breaks the guardrail contact",
    ),
    "template with a claim": (
        replace(ZH_TEMPLATES, "腕间有型", "防水又有型"),
        ZH_TEMPLATES,
        "  young:",
        'push.young: breaks the guardrail claims: "防水" (water resistance) is not in the product facts (with `smart-band`',
    ),
    "template with another number": (
        replace(ZH_TEMPLATES, "续航最长 7 天，忙碌", "续航最长 9 天，忙碌"),
        ZH_TEMPLATES,
        "  business:",
        "push.business: breaks the guardrail numbers",
    ),
}


#: Those that are found when everything is rendered, which takes seconds.
RENDERED = {
    "a provider template that is never chosen",
    "a provider template that never fits",
    "one tone of a template too long",
    "prompt that cannot render",
    "template against the law of one market",
    "template too long",
    "template with a claim",
    "template with a link",
    "template with a word of no market's law but the house's",
    "template with a word to avoid",
    "template with another number",
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in RENDERED else name for name in MISTAKES]
)
def test_a_mistake_is_shown_with_file_and_line(name: str, folder: Path) -> None:
    spoil, file, words, expected = MISTAKES[name]
    spoil(folder)
    playbook, problems = examine(folder)
    assert playbook is None
    found = [str(problem) for problem in problems if expected in str(problem)]
    assert found, "\n".join(map(str, problems))
    assert found[0].startswith(f"{file}:{line_of(folder, file, words)}: ")


@pytest.mark.slow
def test_a_template_is_held_against_the_rules_of_every_market(folder: Path) -> None:
    replace("policy.yaml", "[cn_advertising, eu_prices, no_medical]", "[eu_prices]")(folder)
    replace(EN_TEMPLATES, "A look that is all you, with", "A therapy that is all you, with")(folder)
    found = [str(problem) for problem in examine(folder)[1] if "guardrail market" in str(problem)]
    assert [problem.startswith(f"{EN_TEMPLATES}:") for problem in found] == [True]
    assert "in the market `us` and" in found[0]
    assert "(no_medical.treatment)" in found[0]


@pytest.mark.slow
def test_a_mistake_that_only_one_market_forbids_names_the_market(folder: Path) -> None:
    replace("policy.yaml", "[cn_advertising, us_ftc, no_medical]", "[us_ftc]")(folder)
    replace("policy.yaml", "[cn_advertising, gb_cap, no_medical]", "[gb_cap, no_medical]")(folder)
    replace("policy.yaml", "[cn_advertising, eu_prices, no_medical]", "[eu_prices]")(folder)
    replace("policy.yaml", "[cn_advertising, cn_prices, no_medical]", "[cn_prices]")(folder)
    replace(EN_TEMPLATES, "A look that is all you, with", "A therapy that is all you, with")(folder)
    (found,) = [str(problem) for problem in examine(folder)[1] if "guardrail market" in str(problem)]
    assert "in the market `gb`" in found


@pytest.mark.slow
def test_a_playbook_without_markets_needs_the_label_as_before(folder: Path) -> None:
    text = (folder / "policy.yaml").read_text()
    without = text[: text.index("# Whose law")] + text[text.index("# Words of the house") :]
    (folder / "policy.yaml").write_text(without)
    assert load(folder).policy.markets == []
    replace("policy.yaml", "  en: Written with the help of AI\n", "")(folder)
    assert "ai_label: en is missing; allowed: texts in zh, en" in str(examine(folder)[1][0])


def test_all_mistakes_are_reported_at_once(folder: Path) -> None:
    for name in (
        "unknown field",
        "wrong rule",
        "duplicate product",
        "undefined variable in a prompt",
        "template without a field",
    ):
        MISTAKES[name][0](folder)
    with pytest.raises(Misconfigured) as caught:
        load(folder)
    for name in (
        "unknown field",
        "wrong rule",
        "duplicate product",
        "undefined variable in a prompt",
        "template without a field",
    ):
        assert MISTAKES[name][3] in str(caught.value)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("products.yaml", "products.yaml:1: the file is missing"),
        (ZH_PROMPT, f"{ZH_PROMPT}:1: the file is missing; campaign `cart-abandonment` needs it"),
        (QUESTION, f"{QUESTION}:1: the file is missing; campaign `cart-abandonment` needs it"),
        (EN_TEMPLATES, f"{EN_TEMPLATES}:1: the file is missing; campaign `cart-abandonment` needs it"),
    ],
)
def test_a_missing_file_is_named(file: str, expected: str, folder: Path) -> None:
    (folder / file).unlink()
    assert expected in map(str, examine(folder)[1])


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    assert "there is no such folder" in str(examine(tmp_path / "nowhere")[1][0])


def test_a_file_that_nobody_reads_is_named(folder: Path) -> None:
    (folder / "product.yaml").write_text("a: 1\n")
    assert "product.yaml:1: this file is not known (did you mean `products.yaml`?)" in str(examine(folder)[1][0])


def test_a_language_folder_that_the_playbook_does_not_speak_is_named(folder: Path) -> None:
    (folder / "prompts" / "fr").mkdir()
    (folder / "prompts" / "fr" / "cart-abandonment.j2").write_text((folder / EN_PROMPT).read_text())
    assert "prompts/fr/cart-abandonment.j2:1: language `fr` is not known; allowed: zh, en" in map(
        str, examine(folder)[1]
    )


def test_a_huge_file_is_refused(folder: Path) -> None:
    (folder / "products.yaml").write_text("#" * 1_000_001)
    assert "products.yaml:1: the file has 1000001 bytes; allowed: 1000000 bytes" in map(str, examine(folder)[1])


@pytest.mark.parametrize("bomb", ["a: " + "[" * 40 + "]" * 40, "a: &a [1]\nb: [*a, *a]\n", "- " * 60 + "x"])
def test_a_bomb_is_refused(bomb: str, folder: Path) -> None:
    (folder / "policy.yaml").write_text(bomb)
    problems = [problem for problem in examine(folder)[1] if problem.file == "policy.yaml"]
    assert len(problems) == 1
    assert problems[0].wrong in ("too deeply nested", "anchors and aliases (& and *) are not supported")


def test_bytes_that_are_no_utf8_are_refused(folder: Path) -> None:
    (folder / "policy.yaml").write_bytes(b"languages: [zh]\n# \xff\n")
    assert "policy.yaml:2: the file is not UTF-8; allowed: UTF-8 text" in map(str, examine(folder)[1])


def test_the_language_no_is_not_the_value_false(folder: Path) -> None:
    replace("policy.yaml", "  zh: 本内容", "  no: Norsk\n  zh: 本内容")(folder)
    assert any("language `no` is not known" in str(problem) for problem in examine(folder)[1])


@pytest.mark.slow
def test_the_version_changes_with_any_word_and_not_with_the_place(folder: Path, tmp_path: Path) -> None:
    version = load(folder).version
    assert len(version) == 12
    assert load(copy_of(folder, tmp_path / "elsewhere")).version == version
    replace(ZH_TEMPLATES, "去看看", "看一看")(folder)
    changed = load(folder)
    assert changed.version != version
    assert "看一看" in changed.templates["cart-abandonment", "zh", "young", "email"].fields["cta_text"]


@pytest.mark.slow
def test_tones_are_read_with_their_hints(folder: Path) -> None:
    tones = load(folder).tones
    assert list(tones) == ["warm", "brisk"]
    assert tones["brisk"].hint["en"] == "short and direct"


@pytest.mark.slow
def test_a_variant_needs_no_templates_of_its_own(folder: Path) -> None:
    playbook = load(folder)
    assert ("cart-abandonment-question", "en") in playbook.prompts
    assert not any(prompt == "cart-abandonment-question" for prompt, *_ in playbook.templates)


def speaks_by_sms(folder: Path) -> None:
    """Lets the first campaign go out by SMS too."""
    replace("campaigns.yaml", "[push, email]", "[push, email, sms]")(folder)


@pytest.mark.slow
def test_a_campaign_by_provider_template_needs_no_words(folder: Path) -> None:
    speaks_by_sms(folder)
    playbook, problems = examine(folder)
    assert problems == []
    assert playbook is not None
    assert playbook.channels["sms"].is_templated("zh")
    assert ("cart-abandonment", "zh", None, "sms") not in playbook.templates
    assert ("cart-abandonment", "en", None, "sms") in playbook.templates


@pytest.mark.slow
def test_a_campaign_of_provider_templates_alone_needs_neither_prompt_nor_template(folder: Path) -> None:
    english = "      - {id: EN_1, language: en, text: Your pick is still here.}\n"
    replace("channels.yaml", "    provider_templates:\n", "    provider_templates:\n" + english)(folder)
    replace("channels.yaml", "    suffix: {en: Reply STOP to opt out}\n", "")(folder)
    text = (folder / "channels.yaml").read_text()
    start = text.index("    fields:", text.index("- id: sms"))
    (folder / "channels.yaml").write_text(text[:start] + text[text.index("    # In Chinese") :])
    words = (folder / EN_TEMPLATES).read_text()
    (folder / EN_TEMPLATES).write_text(words[: words.index("\nsms:")] + words[words.index("\nin_app:") :])
    campaigns = (folder / "campaigns.yaml").read_text()
    start = campaigns.index("- id: repeat-view")
    (folder / "campaigns.yaml").write_text(campaigns[:start] + campaigns[start:].replace("[push, email]", "[sms]", 1))
    for language in ("zh", "en"):
        (folder / f"prompts/{language}/repeat-view.j2").unlink()
        (folder / f"templates/{language}/repeat-view.yaml").unlink()
    assert examine(folder)[1] == []


def test_a_campaign_without_a_provider_template_is_named(folder: Path) -> None:
    speaks_by_sms(folder)
    text = (folder / "channels.yaml").read_text()
    (folder / "channels.yaml").write_text(
        text.replace("[cart-abandonment]", "[cross-sell]").replace(
            "        language: zh\n        text: 您好",
            "        language: zh\n        campaigns: [repeat-view]\n        text: 您好",
        )
    )
    line = line_of(folder, "channels.yaml", "provider_templates:")
    assert (
        f"channels.yaml:{line}: channels[2].provider_templates: campaign `cart-abandonment` has no template in zh; "
        "allowed: a template for each campaign"
    ) in map(str, examine(folder)[1])


@pytest.mark.slow
def test_those_who_refused_personalisation_need_a_provider_template_too(folder: Path) -> None:
    speaks_by_sms(folder)
    text = (folder / "channels.yaml").read_text()
    (folder / "channels.yaml").write_text(
        text[: text.index("      - id: SMS_100000003")] + text[text.index("  - id: in_app") :]
    )
    (problem,) = examine(folder)[1]
    assert (
        "campaign `cart-abandonment` has no template in zh for customers who refused personalisation" in problem.wrong
    )


@pytest.mark.slow
def test_check_shows_what_a_provider_template_reads_like() -> None:
    result = CliRunner().invoke(command, ["check", str(SMART_DEVICES)], terminal_width=200)
    assert result.exit_code == 0
    assert "SMS_100000001" in result.output


@pytest.mark.slow
def test_a_mistake_that_only_one_tone_makes_names_the_tone(folder: Path) -> None:
    MISTAKES["one tone of a template too long"][0](folder)
    assert "in the tone `brisk`" in str(examine(folder)[1][0])


@pytest.mark.slow
def test_prompts_have_their_decoding_from_the_head(folder: Path) -> None:
    prompt = load(folder).prompts["cart-abandonment", "en"]
    assert prompt.decoding.temperature == 0.3
    assert prompt.source.startswith("=== system ===")


def test_check_prints_each_mistake_on_a_line_and_fails(folder: Path) -> None:
    MISTAKES["unknown channel"][0](folder)
    result = CliRunner().invoke(command, ["check", str(folder)])
    assert result.exit_code == 1
    assert MISTAKES["unknown channel"][3] in result.output


def test_check_prints_a_summary_of_a_right_playbook() -> None:
    result = CliRunner().invoke(command, ["check", str(REES46)])
    assert result.exit_code == 0
    for word in ("rees46", "cart-abandonment", "premium", "everyone (default)", "push, email"):
        assert word in result.output
