"""China: absolute words, invented authority, promises and disparagement in advertising; reference prices of reductions.

Exceptions follow the enforcement guide on absolute words (SAMR announcement No. 6 of 2023): order in time, usage advice, and
measurements, which the `numbers` guardrail compares with the facts.
"""

from __future__ import annotations

from workers.core.guardrails.packs.rules import Pack, PriceRule, Rule

_ADVERTISING_LAW = "Advertising Law of the PRC (2021)"
_MEASURE = (
    r"[长高大多快远小薄轻短](?:可|能|只|仅|约|为|达|到|至|以|用|撑|听|播放|陪你|陪您|陪伴|续航|待机|支持)*"
    r"\s*[\d一二两三四五六七八九十百半]"
)
_HINT = (
    r"(?:佳|适宜)(?:佩戴|使用|充电|保存|食用|清洁)(?:时间|位置|方法|方式|期)|好(?:在|先|别|不要|提前|每|一次|是|把"
    r"|从|让|的(?:办法|时间|时候))"
)
#: A bound rather than a rank: 最多能存五个号码, 最久能亮八小时; not 最大的一款.
_BOUND = r"[多少长久大高低晚早快慢重远](?!的)[^的,。!?;\n]{0,8}?[\d一二两三四五六七八九十百半]"
#: Order in time and place, verbs (最大化), and people's own moments: not qualities of a product.
_NO_RANK = (
    r"后|近|终|初|[大小]化|重要|要紧|怕|烦|愁|难|忙|累|冷|困|底|里|外|下|常|盼|想|赶|关心|考验|不|少|多(?!人|功能)"
    r"|先(?!进)|热(?!销|门|卖|爱|议|点|捧)|上(?!乘|等|佳)|前(?!沿|卫)"
)
_LIKING = r"喜欢|喜爱|爱|想|在意|关心|需要|期待|放松|忙|累"
#: 最, unless it expresses time, usage, quantity or the customer's preference; also excepts 30 天内最低价, the earlier price that
#: price law requires.
_MOST = (
    rf"最(?!{_NO_RANK}|{_BOUND}|{_MEASURE}|{_HINT})(?!(?<=[调开放]到最)[低高大小亮暗强弱]|(?<=[你您我]最)(?:{_LIKING})"
    rf"|(?<=[天日]内最)低)"
    r"[\u3400-\u9fff]{0,2}"  # context for the reason: 最 alone is not informative
)
_COUNTED = (
    "次天时步眼个件周年季集口杯声课缕批代页期本封站颗瓶盒包双条排段场趟夜晚餐碗锅勺笔针张盏支束朵枝茬桶缸"
    "句章节关回堂竿剪行刀台道"
)
#: 第一 as a rank, not as the first of several times or, at the beginning, as "firstly".
_FIRST = (
    r"(?:全国|全球|世界|亚洲|中国|国内|国际|行业|业内|业界|同类|市场|全网|销量|口碑|排名|评分|人气)第一"
    rf"|第一(?![{_COUNTED}]|感觉|印象|反应|视角|人称|(?<![\u3400-\u9fff]第一)[,:、])"
)

ADVERTISING = Pack(
    id="cn_advertising",
    title="China: Advertising Law",
    rules=(
        Rule(
            id="superlative",
            patterns={
                "zh": rf"{_MOST}|{_FIRST}"
                r"|(?:国家|世界|宇宙|全球|国宝|殿堂)级|顶级|顶尖|极品|至尊|巅峰之作|登峰造极|绝版"
                r"|首[个款创家选]|首屈一指|唯一(?!要|需)|独[家创]|独一无二|绝无仅有|史无前例|前所未有|前无古人|空前绝后"
                r"|无与伦比|无可比拟|无可替代|无人能及|举世无双|天下无双|无敌|绝对|百分百|百分之百|永久",
                "en": r"the (?:very )?best(?! of both worlds| part\b)|best ever"
                r"|best[- ]in[- ]class"
                r"|world's (?:best|finest|first|leading|most)|(?:number (?:one|1)|no\. ?(?:one|1))\b(?! rule| tip)|#1|top ?1"
                r"|the most (?!of |out |from )[a-z]+|(?:highest|state|national)[- ](?:grade|level)|world[- ]class"
                r"|most advanced|un(?:rivall?ed|beatable|matched|paralleled|surpassed)|second to none",
            },
            reason="superlatives and similar expressions may not be used in advertisements",
            source=f"{_ADVERTISING_LAW}, Art. 9(3)",
        ),
        Rule(
            id="leader",
            patterns={
                "zh": r"遥遥领先|(?:全球|世界|国际|国内|行业|业界|同行)领先|领先(?:全球|行业|同行|业界)"
                r"|(?:领导|领袖|冠军|第一)品牌|领军品牌|销量冠军|独领风骚|行业(?:标杆|霸主)|王者之选"
            },
            reason="a claim to rank above all others amounts to a superlative",
            source=f"{_ADVERTISING_LAW}, Art. 9(3)",
        ),
        Rule(
            id="state",
            patterns={
                "zh": r"国家领导人|国家机关|中央(?:机关|领导|首长)|人民大会堂|国务院|中南海|解放军|军队(?:专用|特供)"
                r"|国旗|国徽|国歌|特供|专供(?:机关|军)|国家(?:推荐|指定|免检|认可)",
                "en": r"national (?:flag|emblem|anthem)|state council|recommended by the (?:state|government)",
            },
            reason="the state, its bodies and symbols may not recommend a product",
            source=f"{_ADVERTISING_LAW}, Art. 9(1) and (2)",
        ),
        Rule(
            id="promise",
            patterns={
                "zh": r"保证|包(?:你|您)?(?:满意|有效|治)|无效退款|零风险|无副作用|万无一失",
                "en": r"guarantee[sd]?|risk[- ]free|no side effects|works every time",
            },
            reason="a promise of results that no one can keep is misleading",
            source=f"{_ADVERTISING_LAW}, Art. 4 and 28",
            unless_stated=True,
        ),
        Rule(
            id="belittling",
            patterns={
                "zh": r"(?:吊打|碾压|完胜|秒杀|甩开)(?:同行|同类|同价|竞品|其他|友商|对手|市面|一众)"
                r"|(?:别家|其他品牌|同行)(?:都|全)?(?:不行|做不到|比不了)",
                "en": r"(?:beats|crushes|outclasses) (?:all |any |every )?(?:the )?"
                r"(?:competition|competitors?|rivals?|other brands?)",
            },
            reason="an advertisement may not belittle the goods of others",
            source=f"{_ADVERTISING_LAW}, Art. 13",
        ),
        Rule(
            id="price_words",
            patterns={"zh": r"跳楼价|跳水价|清仓价|吐血价|骨折价|白菜价|出厂价|批发价|成本价|底价|史低|亏本"},
            reason="words for a price that cannot be checked count as misleading price signs",
            source="Provisions on Clearly Marked Prices and against Price Fraud (SAMR Order No. 56, 2022), Art. 19",
            unless_stated=True,
        ),
    ),
)

PRICES = Pack(
    id="cn_prices",
    title="China: price reductions",
    prices=PriceRule(
        reason="a reduction needs a true base, at most the lowest price of the last 7 days; that of 30 days never exceeds it",
        source="Interim Provisions on Promotional Conduct (SAMR Order No. 32, 2020), Art. 21; Price Fraud Provisions, Art. 19",
        states_prior=False,
    ),
)
