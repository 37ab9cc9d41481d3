"""A provider's call is believed once its signature fits, stored before it is answered, and counted once."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator

from tests.support.rows import a_message
from tests.web.conftest import PUBLIC_URL, SECRET, Answer, Caller

PATH = "/hooks/sms/twilio/status"


def form(**fields: str) -> dict[str, str]:
    return {"AccountSid": "AC1", "MessageSid": "SM1", "MessageStatus": "delivered", "To": "+13125550188", **fields}


async def called(
    app: Caller, fields: dict[str, str], path: str = PATH, *, secret: str = SECRET, **options: Any
) -> Answer:
    signature = RequestValidator(secret).compute_signature(PUBLIC_URL + path, fields)
    headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
    headers |= options.pop("headers", {})
    body = options.pop("body", urlencode(fields))
    return await app.call("POST", path, token=None, data=body, headers=headers, **options)


async def state(app: Caller, message: int) -> str:
    found: str = await app.pool.fetchval("SELECT state FROM messages WHERE message_id = $1", message)
    return found


async def receipts(app: Caller) -> int:
    found: int = await app.pool.fetchval("SELECT count(*) FROM receipts")
    return found


async def test_a_signed_callback_with_our_reference_settles_the_message(app: Caller) -> None:
    message = await a_message(app.pool, state="unknown")
    answer = await called(app, form(), f"{PATH}?ref=m-{message}.1")
    assert answer.status == 200
    assert await state(app, message) == "delivered"


async def test_a_callback_without_reference_is_matched_by_the_providers_id(app: Caller) -> None:
    message = await a_message(app.pool, state="accepted", provider_id="SM1")
    assert (await called(app, form())).status == 200
    assert await state(app, message) == "delivered"


async def test_a_repeat_is_answered_and_changes_nothing(app: Caller) -> None:
    await a_message(app.pool, state="accepted", provider_id="SM1")
    for _ in range(3):
        assert (await called(app, form())).status == 200
    assert await receipts(app) == 1
    assert await app.pool.fetchval("SELECT count(*) FROM commands") == 1


async def test_each_status_is_a_receipt_of_its_own_and_late_ones_do_not_step_back(app: Caller) -> None:
    message = await a_message(app.pool, state="accepted", provider_id="SM1")
    for status in ("delivered", "sent", "queued"):
        assert (await called(app, form(MessageStatus=status))).status == 200
    assert await receipts(app) == 3
    assert await state(app, message) == "delivered"


async def test_a_callback_that_comes_before_we_know_the_id_is_kept(app: Caller) -> None:
    assert (await called(app, form(MessageSid="SM-later"))).status == 200
    assert await receipts(app) == 1


async def test_the_account_in_the_address_is_taken_outright(app: Caller) -> None:
    path = "/hooks/sms/twilio/default/status"
    assert (await called(app, form(AccountSid="AC-subaccount"), path)).status == 200
    assert (await called(app, form(), "/hooks/sms/twilio/other/status")).status == 403


async def test_while_secrets_rotate_both_are_taken(app: Caller) -> None:
    assert (await called(app, form(), secret="an-old-secret")).status == 200


@pytest.mark.parametrize(
    "forge",
    [
        {"headers": {"X-Twilio-Signature": ""}},
        {"headers": {"X-Twilio-Signature": "AAAAAAAAAAAAAAAAAAAAAAAAAAA="}},
        {"secret": "another-secret"},
        {"secret": ""},
        {"body": urlencode(form(MessageStatus="undelivered"))},
        {"body": urlencode(form()) + "&Extra=1"},
        {"body": b"\xff\xfe"},
        {"body": b""},
        {"body": "&".join(f"a{n}=1" for n in range(500))},
    ],
)
async def test_a_forged_callback_is_refused_and_changes_nothing(app: Caller, forge: dict[str, Any]) -> None:
    message = await a_message(app.pool, state="accepted", provider_id="SM1")
    before = await app.pool.fetchrow("SELECT * FROM messages")
    answer = await called(app, form(), **forge)
    assert answer.status == 403
    assert await receipts(app) == 0
    assert await app.pool.fetchrow("SELECT * FROM messages") == before
    assert await state(app, message) == "accepted"


async def test_another_reference_than_the_signed_one_is_refused(app: Caller) -> None:
    message = await a_message(app.pool, state="unknown")
    signature = RequestValidator(SECRET).compute_signature(PUBLIC_URL + PATH + "?ref=m-999.1", form())
    answer = await called(app, form(), f"{PATH}?ref=m-{message}.1", headers={"X-Twilio-Signature": signature})
    assert answer.status == 403
    assert await state(app, message) == "unknown"


async def test_the_address_is_ours_and_never_the_callers(app: Caller) -> None:
    signature = RequestValidator(SECRET).compute_signature(app.base + PATH, form())
    headers = {"X-Twilio-Signature": signature, "X-Forwarded-Host": "control.studio.example", "Host": "evil.example"}
    assert (await called(app, form(), headers=headers)).status == 403


async def test_an_unknown_account_or_provider_gets_nothing(app: Caller) -> None:
    assert (await called(app, form(AccountSid="AC2"))).status == 403
    assert (await called(app, form(AccountSid=""))).status == 403
    assert (await called(app, form(), "/hooks/sms/telegraph/status")).status == 404


async def test_a_body_beyond_64_kib_is_not_read(app: Caller) -> None:
    assert (await called(app, form(), body=b"a=" + b"x" * 66_000)).status == 413


async def test_while_the_database_is_away_the_provider_is_told_to_come_again(app: Caller) -> None:
    await app.pool.close()
    assert (await called(app, form())).status == 503


async def test_a_callback_that_says_nothing_of_a_text_is_answered_and_forgotten(app: Caller) -> None:
    assert (await called(app, form(MessageStatus="a-new-status"))).status == 200
    assert await receipts(app) == 0
