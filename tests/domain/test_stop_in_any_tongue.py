"""STOP in the languages and spellings of clients whom nobody asked to answer in English."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from control_center.domain.reply import Circumstances, Help, MayBeOptOut, OptOut, Plain, interpret

MET = Circumstances(datetime(2026, 11, 22, 18, 0, tzinfo=UTC))


@pytest.mark.parametrize(
    "text",
    [
        *("СТОП", "Стоп!", "отписаться", "ОТПИСКА"),
        *("停止", "退订", "退訂", "取消订阅", "TD", "请停止给我发短信"),
        *("중지", "수신거부", "그만"),
        *("ストップ", "停止。", "配信停止"),
        *("توقف", "إيقاف", "الغاء الاشتراك"),
        *("Dừng", "Dừng lại", "HUY DANG KY", "ngừng"),
        *("SISPANN", "Stopp", "STOPP bitte", "abmelden", "Abbestellen", "SAIR", "Στοπ", "ΣΤΟΠ", "סטופ", "הסר"),
        *("STOP1", "stop 2", "stahp", "STOP✋", "DNC"),
    ],
)
def test_a_stop_in_another_tongue_or_script_is_never_passed_over(text: str) -> None:
    assert isinstance(interpret(text, MET), OptOut | MayBeOptOut)


@pytest.mark.parametrize("text", ["СТОП", "退订", "수신거부", "توقف", "停止"])
def test_one_that_means_nothing_else_ends_texting_at_once(text: str) -> None:
    assert isinstance(interpret(text, MET), OptOut)


@pytest.mark.parametrize("text", ["AIDE", "Ayuda", "HELP"])
def test_help_is_asked_for_in_the_languages_that_stop_is_said_in(text: str) -> None:
    assert isinstance(interpret(text, MET), Help)


@pytest.mark.parametrize(
    "text",
    ["Let us meet at 5th and Stopford", "Huy here, running late", "Спасибо, будем", "好的谢谢", "Đúng rồi"],
)
def test_what_is_no_stop_stays_a_plain_text(text: str) -> None:
    assert isinstance(interpret(text, MET), Plain)
