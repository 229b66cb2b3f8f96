"""Rejects medical claims for products that are not medical devices; they are common in copy for wearables."""

from __future__ import annotations

from workers.core.guardrails.packs.rules import Pack, Rule

_SOURCE = (
    "Advertising Law of the PRC, Art. 17; Regulation (EU) 2017/745 (medical devices), Art. 2(12) and 7; Directive 2005/29/EC,"
    " Annex I no. 17; CAP Code (UK), rule 12.1; FTC Act (US), sections 5 and 12"
)
_ILLNESS_ZH = (
    r"疾病|病症|病变|慢性病|失眠|[高低]血压|高血[糖脂]|糖尿病|冠心病|心脏病|心律(?:不齐|失常)|房颤|早搏|呼吸暂停|抑郁|焦虑症"
    r"|颈椎病|关节炎|偏头痛|中风|猝死|癌症|肿瘤|感冒"
)
_ILLNESS_EN = (
    r"diseases?|illness(?:es)?|insomnia|hypertension|(?:high|low) blood pressure|diabet(?:es|ic)|arrhythmias?"
    r"|atrial fibrillation|apno?ea|depression|migraines?|arthritis|cancers?|heart (?:attacks?|failure)"
    r"|(?<!swim )(?<!brush )(?<!two )(?<!three )(?<!four )strokes(?! of\b)"
)

NO_MEDICAL = Pack(
    id="no_medical",
    title="No medical claims for products that are not medical devices",
    rules=(
        Rule(
            id="treatment",
            patterns={
                "zh": r"治疗|治愈|根治|医治|诊治|包治|理疗|疗效|疗程|疗法|药效|药到病除|处方|止痛|镇痛|消炎|祛病|抗癌|防癌"
                r"|(?:改善|缓解|减轻|消除|告别)[^,。!?]{0,4}(?:失眠|疼痛|头痛|焦虑|病)|安神|助眠",
                "en": r"cur(?:e|es|ed|ing)|heal(?:s|ed|ing)?|treats(?! you)|treatments?|therap(?:y|ies|eutic|ist)"
                r"|remed(?:y|ies)"
                r"|medicines?|medications?|prescriptions?|painkillers?|pain relief"
                rf"|treat(?:ing)? (?:your |the |any )?(?:pain|{_ILLNESS_EN})"
                r"|(?:reliev|eas|sooth|reduc)(?:e|es|ing) (?:[a-z]+ ){0,2}(?:pain|aches?|anxiety|insomnia)",
            },
            reason="only a medical device or medicine may be said to treat or cure",
            source=_SOURCE,
        ),
        Rule(
            id="diagnosis",
            patterns={
                "zh": rf"诊断|确诊|诊疗|(?:筛查|检测|监测|检查|发现|预警|识别)"
                rf"[^,。!?]{{0,4}}(?:{_ILLNESS_ZH}|隐患|异常)|(?:健康|心脏)隐患",
                "en": r"diagnos\w*|screen(?:s|ing)? for"
                r"|(?:detect|spot|find|recogni[sz]e)(?:s|ing)? (?:[a-z'-]+ ){0,4}(?:abnormal\w*|irregular\w*|heart problems?"
                rf"|health problems?|{_ILLNESS_EN})|early warning signs?",
            },
            reason="only a medical device may be said to detect or diagnose an illness",
            source=_SOURCE,
        ),
        Rule(
            id="prevention",
            patterns={
                "zh": rf"防病|防治|预防[^,。!?]{{0,4}}(?:{_ILLNESS_ZH}|病)|延年益寿"
                r"|(?:增强|提高|提升)免疫|降(?:血压|血糖|血脂|三高)",
                "en": rf"prevent(?:s|ing)? (?:[a-z]+ ){{0,3}}(?:{_ILLNESS_EN})"
                r"|(?:lower|reduce)(?:s|ing)? (?:your |the )?(?:blood (?:pressure|sugar)|cholesterol|risk of)"
                r"|(?:boost|strengthen)(?:s|ing)? (?:your |the )?immun\w+|live longer",
            },
            reason="only a medical device or medicine may be said to prevent illness",
            source=_SOURCE,
        ),
        Rule(
            id="illness",
            patterns={
                "zh": rf"{_ILLNESS_ZH}|症状|患者|病人|亚健康",
                "en": rf"{_ILLNESS_EN}|symptoms?|patients|disorders?",
            },
            reason="a text that names an illness implies a medical purpose",
            source=_SOURCE,
        ),
        Rule(
            id="medical_authority",
            patterns={
                "zh": r"医疗级|医学级|医用|药用|临床|保健(?:功能|功效|作用)"
                r"|(?:医生|医师|医院|医学|专家)(?:推荐|认证|认可|证明|验证)",
                "en": r"medical(?:ly)?|clinical(?:ly)?|hospital[- ]grade|doctors?[- ](?:approved?|recommend\w*)"
                r"|(?:recommended|approved|trusted) by (?:doctors|physicians|nurses|experts)",
            },
            reason="medical terms and doctors' endorsements make a product look like a medical device",
            source=_SOURCE,
        ),
    ),
)
