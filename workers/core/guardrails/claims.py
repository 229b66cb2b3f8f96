"""Claim grounding: features, measurements, services, popularity and effects that the facts do not state."""

from __future__ import annotations

from workers.core.guardrails.concepts import concepts, ungrounded
from workers.core.guardrails.subject import Subject

CLAIMS = concepts(
    {
        # What the products of a catalogue may have: mentioned only where this product has it.
        "heart rate": r"heart[- ]?rate|heartbeat|心率|心跳",
        "sleep tracking": r"sleep[- ](?:track|monitor|quality|data|pattern|stage|analy|insight)"
        r"|track\w* your sleep|睡眠",
        "workout tracking": r"(?:workout|activity|fitness|exercise)[- ](?:track|record|log)\w*|运动(?:记录|数据"
        "|监测|追踪|模式)",
        "noise cancellation": r"noise[- ]?(?:cancel|reduc|isolat|block)\w*|\banc\b|降噪|隔音",
        "Bluetooth": r"bluetooth|蓝牙",
        "battery": r"batter(?:y|ies)|\bmah\b|续航|电池|电量|待机",
        # Features that nobody stated.
        "water resistance": r"water[- ]?(?:proof|resist|repell)\w*|sweat[- ]?(?:proof|resist)\w*|\bipx?\d|防水"
        "|防汗|防尘|防泼",
        "swimming": r"\bswim\w*|游泳|泳池",
        "cycling": r"\bcycling\b|\bbik(?:e|es|ing)\b|骑行|骑车|单车",
        "running mode": r"running (?:mode|track|data)\w*|track\w* (?:your |every |each )?(?:runs?|running)\b"
        r"|跑步(?:模式|记录|监测|追踪|数据)|(?:记录|监测|追踪)[^,。!?]{0,6}跑步",
        "kinds of sport": r"\b(?:soccer|football|basketball|tennis|baseball|golf|rowing|skiing|boxing)\b"
        r"|足球|篮球|网球|高尔夫|滑雪|划船",
        "steps": r"step[- ]count\w*|count\w* (?:your |every )?steps?|pedometer|计步|步数",
        "calories": r"\bcalor(?:ie|ies)\b|卡路里|热量|燃脂",
        "location": r"\bgps\b|navigation|定位|导航",
        "blood values": r"blood[- ](?:oxygen|pressure|sugar|glucose)|\bspo2\b|\becg\b|electrocardiogram|血氧|血压"
        "|血糖|心电|体温",
        "stress tracking": r"stress (?:monitor|track|level)\w*|压力(?:监测|检测|水平)",
        "coaching": r"training plan|personal (?:coach|trainer)|\bcoaching\b|训练计划|私人教练|健身指导|专业指导",
        "charging": r"(?:fast|quick|wireless|rapid)[- ]charg\w*|charg\w* (?:case|in )|快充|闪充|无线充电|充电(?:盒|仓)",
        "calls": r"(?:phone|voice|video|clear|hands-free|conference) calls?|call quality|take calls|microphone"
        r"|\bmics?\b"
        r"|通话|麦克风|接听|来电",
        "notifications": r"notifications?|消息提醒|来信提醒|震动提醒",
        "display": r"touch ?screen|\bdisplay\b|\bamoled\b|\boled\b|\bscreen\b|屏幕|显示屏|表盘|触屏",
        "controls": r"touch controls?|voice (?:assistant|control)|\bsiri\b|\balexa\b|触控|语音(?:助手|控制)",
        "audio format": r"hi[- ]?res\b|hi[- ]?fi\b|lossless|surround|spatial|3d (?:audio|sound)|\bbass\b|环绕"
        "|立体声|低音|无损|空间音频",
        "compatibility": r"compatible|\bios\b|\bandroid\b|\biphone\b|兼容|安卓|苹果手机",
        "application": r"\b(?:mobile|companion|our|the) app\b|手机应用|\bapp\b",
        "payment": r"\bnfc\b|contactless pay\w*|移动支付|公交卡",
        "material": r"\bleather\b|silicone|stainless|titanium|alumini?um|\bmetal\b|ceramic|皮革|真皮|皮质|硅胶"
        "|不锈钢|钛|铝合金|陶瓷",
        "weight": r"light[- ]?weight|feather[- ]?light|ultra[- ]?light|轻盈|轻量|轻便|轻巧|超轻",
        "durability": r"\bdurab\w+|scratch[- ]?(?:proof|resist)\w*|耐用|耐磨|坚固|抗摔",
        "colours": r"(?:range|variety|choice) of colou?rs|available in \w+ colou?rs|多种颜色|多色可选|多款配色",
        # Services of the shop.
        "warranty": r"warrant(?:y|ies)|money[- ]back|guarante\w+|保修|质保|包换|包退|退换|退货|退款|refund"
        "|return policy",
        "delivery": r"shipping|\bdeliver(?:y|ed|s)\b|发货|送达|配送|快递|物流",
        # What others say or do.
        "popularity": r"best[- ]?sell\w*|top[- ]rated|award|\d[- ]star|customers? (?:love|rave|say)"
        "|everyone (?:loves|is)"
        r"|(?:thousands|millions) of|热销|畅销|爆款|口碑|好评|获奖|明星同款|网红|万人|销量",
        "approval": r"certifi\w+|\bfda\b|\bpatent\w*|approved by|recommended by|doctor|认证|专利|医生|专家推荐"
        "|官方推荐",
        "comparison": r"better than|more \w+ than (?:any|other)|than ever|unlike other|twice (?:as|the)|(?:double"
        "|triple|half) the"
        r"|outperform\w*|优于|胜过|超越同|比其他|吊打|秒杀",
        "accuracy": r"\baccura\w+|\bprecis(?:e|ely|ion)\b|精准|精确|准确",
        # Effects on a person.
        "health effect": r"(?:improv|boost|enhanc|better)\w* (?:your )?(?:overall )?(?:health|sleep|heart|immun"
        "|well-?being|posture)"
        r"|(?:reduc|lower|reliev)\w* (?:your )?(?:stress|anxiety|pain|fatigue|blood)|los(?:e|ing) weight"
        r"|weight loss|burn\w* fat"
        r"|改善(?:睡眠|健康|体质)|助眠|减肥|瘦身|缓解(?:疲劳|压力|疼痛)|降低(?:血压|风险)|预防|增强(?:免疫|体质)",
    }
)


def claims(subject: Subject) -> str | None:
    """A feature, service, opinion or effect that the product's facts do not state."""
    found = ungrounded(CLAIMS, subject.text, subject.grounds)
    return f'"{found[1]}" ({found[0]}) is not in the product facts' if found else None
