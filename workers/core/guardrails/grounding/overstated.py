"""Finds overstatement in harmless words: all, always, and actions that only people can perform."""

from __future__ import annotations

from workers.core.guardrails.grounding.concepts import Concepts

_CLAUSE = r"[^,.;:!?\n]{0,40}"
_CLAUSE_HAN = r"[^,。!?;\n]"
_NEAR = r" (?:\w+ ){0,2}"
_ADVERBS = "also|always|even|then|simply|just|quietly|gently|automatically|still|now|really|too|soon|instantly"
_ALL_DAY = (
    "all day|all night|day and night|night and day|day or night|around the clock|at all times|always|all the time"
)
#: Nouns for which a claim of totality ("all noise") overstates.
_TOTALS = (
    "noises?|sounds?|voices?|wrists?|ears?|phones?|devices?|straps?|watch(?:es)?|persons?|people|body|bodies"
    "|runners?|customers?|users?|athletes?"
    r"|homes?|households?|ages?|types?|kinds?|weathers?|conditions?|heartbeats?|pulses?|signals?|packs?|box(?:es)?"
    r"|pairs?|orders?|purchases?"
    r"|earphones?|buds|earbuds|sports?|activit\w+|apps?|cars?|women|men|buyers?|seconds?|minutes?|brands?|models?"
)
#: Verbs that are neutral for a customer but a claim for a product.
_DEEDS = (
    r"hears?|plays? (?!music|your|the|a )|stops?|starts?(?! the| a| your| with)|thinks?|learns?|listens?|finds?"
    r"|answers?|decides?|chooses?|picks?"
    r"|plans?|asks?|talks?|speaks?|wakes?|understands?|looks? after|takes? care|cares?|sees? (?:how|when|what)"
    r"|opens?|closes?|thanks|calls?"
    r"|writes?(?! down)|guides?|leads?|leaves? you|buys?|pays?|orders?|teach\w*|turns? (?:on|off|up the heat)"
    r"|switch\w* (?:on|off)|walks?|drives?"
    r"|cooks?|sings?|studies|recalls?|dreams?|grows?|cheers?|keeps? you(?:r \w+)? (?:warm|cool|dry|safe|clean|young)"
)
#: The same at the beginning of a clause, where only the third person shows who the subject is.
_DEEDS_ALONE = (
    "hears|plays|stops|starts|thinks|learns|listens|finds|answers|decides|chooses|picks|plans|asks|talks|speaks"
    "|wakes|understands|looks after"
    r"|takes care|cares|sees|opens|closes|calls|writes(?! down)|guides|leads|buys|pays|orders|teaches|turns (?:on"
    r"|off|your|any|every)"
    r"|switches (?:on|off)|walks|drives|cooks|sings|studies|reaches|grows|cheers you"
)

OVERSTATED = Concepts(
    {
        "exaggeration": rf"\b(?:{_ALL_DAY}){_CLAUSE}(?:heart|pulse|beat|noise|signal|connect|quiet|music)"
        rf"|(?:heart|pulse|beat|noise|signal|connect|quiet){_CLAUSE}\b(?:{_ALL_DAY})"
        rf"|\b(?:all|every|any|each|whole|entire){_NEAR}(?:{_TOTALS})\b|every second "
        r"|\b(?:fits?|suits?|works?|for|by|with|knows?|hears?|sees?|tracks?|records?|blocks?|covers?|goes with|in"
        r"|on) (?:almost |nearly )?"
        r"(?:every|any)(?:one|body|thing|where)\b(?! new| else| in between| you| about the| at home)"
        r"|\b(?:every|any)(?:one|body|thing) (?:\w+ )?(?:loves?|wants?|has|wears?|knows?|talks?|is talking"
        r"|about your|on your|you need to know)"
        r"|\b\w+s (?:every|any)where\b(?! you)|swears? by"
        r"|\b(?:sle\w+|rest|feel|hear|run|train|perform|last|fit|breathe|live|recover|concentrate|focus) (?:much "
        r"|even |far |a lot )?better\b"
        r"|\bbetter (?:sle\w+|rest|health|sound|music|fit|grip|battery|signal|quality|hearing|focus|results?|shape"
        r"|form|performance|comfort|connection)"
        r"|(?<!no )\bmore (?:\w+ly|comfort\w*|battery|power|bass|health|signal|sound|stable|steady|reliable"
        r"|beautiful|immersive|energy|sleep|features|than)\b"
        r"|\b(?:less|fewer) (?:than|weight|effort|time|stress|pain|charging)|\bno other\b|\bcomes? close|\bunlike\b"
        r"|nothing\b[^,.!?]{0,30}\b(?:hidden|escapes?|missed|lost|unseen|unnoticed|unrecorded|slips?)"
        r"|\bthe most (?!of )|\bnot (?:\w+ )?(?:hear|notice|feel|miss) (?:a|one|any)|(?:一|分|毫"
        r"|丝)[秒毫厘分丝步]不[差漏错]|分毫|hear(?:s|ing)? nothing|nothing (?:gets?|comes?|slips?) (?:in|through"
        r"|past)|not even (?:a|an|the) "
        r"|\bnot (?:a|one|even a) (?:sound|noise|note|beat|single|word)"
        r"|\bno (?:outside |more |background |other )?(?:noise|sound)s?\b|noise (?:is|was|are) (?:gone|no more|over"
        r"|history)"
        r"|从此没有|再也(?:不|没)(?!想|忍|舍|会错过)|(?:永|从此)[^,。!?]{0,2}不用"
        r"|(?:世界|周围|耳边|外面|噪音|噪声|声音)[^,。!?]{0,4}(?:消失|归零|不见|没有了)|零(?:噪|延迟|干扰|打扰|距离"
        r"|负担|感)"
        r"|(?:听不见|听不到)(?!你)|没有(?:一点|任何|半点|一丝)|一点(?:声音|噪音|杂音|动静)|(?:半点|丝毫|毫无|绝无"
        r"|从无)"
        r"|从不(?!同)|从未|永不|永远|绝不|决不|所有|全部|任何|一切(?!顺|都好|安好)|彻底|完全|完完全全|百分之百"
        r"|时时刻刻|每时每刻|每分每秒|分分秒秒"
        rf"|(?:全天|整天|整日|昼夜|日夜|从早到晚|一直|始终|不停|不间断|随时都在|每分钟){_CLAUSE_HAN}{{0,6}}(?:监测"
        rf"|检测|记录|看着|守|盯|关注|追踪|心率|心跳|降噪)"
        rf"|(?:监测|检测|追踪|心率|心跳|降噪|噪音){_CLAUSE_HAN}{{0,6}}(?:全天|整天|昼夜|日夜|不停|不间断|一直)"
        r"|适合(?:每|各|任何|所有|大多|男女|老人|孩子|一切)",
        "agency": rf"\b(?:it|they|band|earphones?|strap|case|tips|device)(?:'ll|'s)?(?: (?:{_ADVERBS}|can|will|could"
        rf"|would|do|does))* (?:{_DEEDS})\b"
        rf"|(?:^|(?<=[.!?:;,\n–—])|(?<=[.!?:;,\n–—]\s)|\band )(?:(?:{_ADVERBS}) )*(?:{_DEEDS_ALONE})\b"
        r"|\b(?:on its own|on their own)\b"
        r"|\bhelps? you (?:find|learn|decide|choose|plan|reach|push|stop|start|think|meet|catch)|\bchanges? (?:its"
        r"|their)\b|\bstays? (?:put|in place|on|in)\b(?= (?:through|during|even|when|while|no matter))|\b(?:it"
        r"|they) (?:also |can |will )?writes? (?!down|them down|it down)|\blets? (?:your|you and your) (?:friends?"
        r"|family|partner)"
        r"|knows (?!how (?:well |long |much )?you(?:'ve| have)? (?:sle|rest|train))"
        r"|\b(?:tells?|shows?|hears?|sees?|knows?|learn|check|find out|lets? you (?:see|know|hear|check)) (?:you )?"
        r"(?:when|where|who|which|whether|if (?!it|they|this|that|the))(?! you (?:like|want|are|wish|need|have)\b)"
        r"|(?:会|能|可以)(?:自己|自行|主动(?!降噪)|听你|懂得)|自(?:动|适应)|(?:会|能)(?:变|发|开|关)|懂你的(?!心|睡|运|身|节|风|态|坚|努|品|日)|比你更?懂"
        r"|(?:让|使|令)(?:你|您)的[^,。!?]{0,6}(?:更|变)|(?:让|使|令|帮|助)(?:你|您)[^,。!?]{0,8}(?:精力|充沛|活力"
        r"|自信|强壮|年轻|健康|聪明|习惯|变得|变成|成为|拥有|养成|告别|戒|坚持)",
    }
)
