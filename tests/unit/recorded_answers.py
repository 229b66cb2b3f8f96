"""Hand-written answers like those of a good Chinese model: (product, channel, target group, answer)."""

from __future__ import annotations

import json


def _json(**fields: str) -> str:
    return json.dumps(fields, ensure_ascii=False)


CHINESE = (
    (
        "smart-band",
        "push",
        "young",
        _json(title="你的智能手环还在等你", body="心率、睡眠一目了然，佩戴舒适，搭配日常穿搭也很出彩。回来看看吧～"),
    ),
    (
        "smart-band",
        "push",
        "sports",
        _json(title="下一次训练，带上它", body="运动记录加心率监测，每一次流汗都有迹可循。智能手环还在购物车里等你。"),
    ),
    (
        "smart-band",
        "push",
        "business",
        _json(
            title="您的智能手环仍在购物车", body="续航最长7天，健康状况一目了然，忙碌的一周也能从容安排。欢迎回来查看。"
        ),
    ),
    (
        "wireless-earphones",
        "push",
        "young",
        _json(title="你的耳朵在想念它", body="主动降噪一开，整个世界都是你的音乐现场。无线耳机还在购物车里哦！"),
    ),
    (
        "wireless-earphones",
        "push",
        "sports",
        _json(title="节奏不断，运动不停", body="蓝牙5.0信号稳定，续航最长20小时，让音乐陪你练到最后一组。"),
    ),
    (
        "wireless-earphones",
        "push",
        "business",
        _json(title="给工作留一份安静", body="主动降噪隔绝外界噪音，专注从此更容易。您选的无线耳机仍在购物车中。"),
    ),
    (
        "smart-band",
        "email",
        "sports",
        "```json\n"
        + _json(
            email_subject="你的运动搭档还在购物车里",
            preheader="训练、恢复、睡眠，它都帮你看着。",
            body="嗨，你挑选的智能手环还在等你。它支持运动记录与心率监测，帮你了解每次训练的状态；晚上还能监测睡眠，"
            "让恢复也有据可依。续航最长 7 天，一周只需充一次电。想好了就回来看看吧！",
            cta_text="回到购物车",
        )
        + "\n```",
    ),
    (
        "wireless-earphones",
        "email",
        "business",
        "<think>需要简洁、得体，只写给出的特点。</think>\n"
        + _json(
            email_subject="您选中的无线耳机仍在购物车",
            preheader="为忙碌的工作日，留一点安静。",
            body="您好，您选中的无线耳机仍保留在购物车中。主动降噪可隔绝外界噪音，无论在办公室还是旅途中，都能更专注；"
            "蓝牙 5.0 信号稳定，续航最长 20 小时，足以陪伴一整天的会议与通勤。方便时欢迎回来查看。",
            cta_text="查看购物车",
        ),
    ),
    (
        "wireless-earphones",
        "email",
        "young",
        _json(
            email_subject="戴上它，走到哪里都是主场",
            preheader="你的无线耳机还在购物车里。",
            body="你好呀，还记得那副无线耳机吗？打开主动降噪，街头的喧闹瞬间安静下来，只剩下沉浸式的音乐。"
            "最长 20 小时的续航，陪你从早八到晚归。它还在购物车里，等你带它回家。",
            cta_text="去看看",
        ),
    ),
    (
        "band-strap-leather",
        "push",
        "business",
        _json(title="为手环换一份质感", body="真皮材质，简约设计，正好搭配您的智能手环。皮革表带仍在购物车里。"),
    ),
)
