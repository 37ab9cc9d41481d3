"""Texts over SMPP: what leaves, what each answer proves, what is delivered, and a session that comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from control_center.domain.inbound import Inbound
from control_center.domain.outcome import (
    Accepted,
    Blocked,
    CannotTell,
    Cause,
    Fate,
    NotSent,
    Receipt,
    Refused,
    Stage,
    Text,
    Unknown,
)
from tests.support import smsc as centre
from tests.support.smsc import Smsc
from workers.sms import smpp_session
from workers.sms.smpp import Smpp
from workers.sms.smpp_session import Centre

NOON = datetime(2026, 11, 23, 18, tzinfo=UTC)
LONG = "See you at the lake. " * 20  # 420 septets: three parts


def a_text(body: str = "See you soon.", **more: Any) -> Text:
    values = {"key": "m-1.1", "sender": "+13125550100", "to": "+13125550188", "at": NOON}
    return Text(**{**values, "message": "m-1", "body": body, "expires_at": NOON + timedelta(hours=6), **more})


class Ear:
    """Keeps what it hears, unless it is told that it cannot."""

    def __init__(self) -> None:
        self.texts: list[tuple[Inbound, Any]] = []
        self.receipts: list[Receipt] = []
        self.keys: list[str] = []
        self.keeps = True

    async def hear(self, text: Inbound | None, part: Any, receipt: tuple[str, Receipt] | None, _raw: str) -> bool:
        if not self.keeps:
            return False
        if text is not None:
            self.texts.append((text, part))
        if receipt is not None:
            self.keys.append(receipt[0])
            self.receipts.append(receipt[1])
        return True


@pytest.fixture
async def smsc() -> AsyncIterator[Smsc]:
    async with centre.running() as server:
        yield server


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
async def smpp(smsc: Smsc, ear: Ear) -> AsyncIterator[Smpp]:
    where = Centre("127.0.0.1", smsc.port, "studio", "secret", "SMPP")
    opened = Smpp(where, ear.hear, clock=lambda: NOON, longest_pause=0.3)
    yield opened
    await opened.close()


async def until(fact: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not fact():  # noqa: ASYNC110 - the fact is in the stub, which sets no event for it
            await asyncio.sleep(0.005)


# --- what leaves -----------------------------------------------------------------------------------------------------


async def test_we_bind_as_one_who_sends_and_receives_under_version_3_4(smsc: Smsc, smpp: Smpp) -> None:
    await smpp.submit(a_text())

    assert smsc.binds == [("studio", "secret", "SMPP", 0x34)]


async def test_a_short_text_is_one_submission_with_a_receipt_asked_for(smsc: Smsc, smpp: Smpp) -> None:
    assert await smpp.submit(a_text()) == Accepted("id-1", 1)

    (text,) = smsc.texts
    assert (text.text, text.coding, text.esm_class, text.registered) == ("See you soon.", 0, 0, 1)
    assert (text.source, text.to) == ((1, 1, "13125550100"), (1, 1, "13125550188"))
    assert text.validity == "000000060000000R"


@pytest.mark.parametrize(
    ("sender", "seen"), [("72345", (0, 1, "72345")), ("AdaPark", (5, 0, "AdaPark")), ("+4930123", (1, 1, "4930123"))]
)
async def test_each_kind_of_sender_is_named_as_what_it_is(
    smsc: Smsc, smpp: Smpp, sender: str, seen: tuple[int, int, str]
) -> None:
    await smpp.submit(a_text(sender=sender))

    assert smsc.texts[0].source == seen


async def test_a_long_text_is_cut_as_it_is_counted_and_its_parts_are_numbered(smsc: Smsc, smpp: Smpp) -> None:
    assert await smpp.submit(a_text(LONG)) == Accepted("id-3", 3)

    assert "".join(part.text for part in smsc.texts) == LONG
    reference = smsc.texts[0].header[3]
    assert [part.header for part in smsc.texts] == [bytes((5, 0, 3, reference, 3, number)) for number in (1, 2, 3)]
    assert all(len(part.words) - 6 <= 153 for part in smsc.texts)


async def test_a_letter_outside_the_gsm_alphabet_makes_it_ucs2_and_no_pair_is_cut(smsc: Smsc, smpp: Smpp) -> None:
    body = "😀" * 36
    assert await smpp.submit(a_text(body)) == Accepted("id-2", 2)

    assert [part.coding for part in smsc.texts] == [8, 8]
    assert "".join(part.text for part in smsc.texts) == body
    assert all(len(part.words) <= 140 for part in smsc.texts)


async def test_letters_of_the_gsm_alphabet_leave_by_its_table(smsc: Smsc, smpp: Smpp) -> None:
    await smpp.submit(a_text("@£$ é [€]"))

    assert smsc.texts[0].words == b"\x00\x01\x02 \x05 \x1b\x3c\x1b\x65\x1b\x3e"


# --- what an answer proves -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [0x58, 0x14, 0x08, 0x64])
async def test_a_throttled_centre_is_tried_again_later(smsc: Smsc, smpp: Smpp, status: int) -> None:
    smsc.statuses = [status]

    outcome = await smpp.submit(a_text())

    assert isinstance(outcome, NotSent)
    assert outcome.code == f"0x{status:02X}"
    assert await smpp.submit(a_text()) == Accepted("id-1", 1)


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (0x0B, Cause.RECIPIENT),
        (0x51, Cause.ROUTE),
        (0x48, Cause.CONTENT),
        (0x0A, Cause.CONTENT),
        (0x01, Cause.CONTENT),
        (0x65, Cause.CONTENT),
        (0x66, Cause.CONTENT),
        (0x401, Cause.CONTENT),
    ],
)
async def test_a_refusal_is_for_good(smsc: Smsc, smpp: Smpp, status: int, cause: Cause) -> None:
    smsc.statuses = [status]

    outcome = await smpp.submit(a_text())

    assert isinstance(outcome, Refused)
    assert outcome.cause is cause


async def test_an_answer_that_is_lost_with_its_connection_leaves_it_unknown(smsc: Smsc, smpp: Smpp) -> None:
    smsc.statuses = ["lost"]

    outcome = await smpp.submit(a_text())

    assert isinstance(outcome, Unknown)
    assert outcome.stage is Stage.SENT
    assert len(smsc.texts) == 1


async def test_an_answer_that_does_not_come_leaves_it_unknown(
    smsc: Smsc, smpp: Smpp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smpp_session.Session.ask, "__kwdefaults__", {"wait": 0.2})
    smsc.statuses = ["silent"]

    assert isinstance(await smpp.submit(a_text()), Unknown)


async def test_an_answer_that_is_not_to_a_text_does_not_say_that_it_was_taken(smsc: Smsc, smpp: Smpp) -> None:
    smsc.statuses = ["confused"]

    assert isinstance(await smpp.submit(a_text()), Unknown)


async def test_every_text_on_its_way_is_unknown_when_the_connection_drops(smsc: Smsc, smpp: Smpp) -> None:
    smsc.statuses = ["silent"] * 5
    asked = [asyncio.create_task(smpp.submit(a_text(key=f"m-{n}.1"))) for n in range(5)]
    await until(lambda: len(smsc.texts) == 5)

    smsc.drop()

    assert [type(outcome) for outcome in await asyncio.gather(*asked)] == [Unknown] * 5


@pytest.mark.parametrize("second", [0x58, 0x0B, "lost"])
async def test_once_a_part_was_taken_a_text_that_is_not_whole_is_unknown(
    smsc: Smsc, smpp: Smpp, second: int | str
) -> None:
    smsc.statuses = [0, second]

    assert isinstance(await smpp.submit(a_text(LONG)), Unknown)
    assert len(smsc.texts) <= 2, "no part follows one that was not taken"


async def test_a_text_whose_first_part_is_throttled_has_not_been_taken(smsc: Smsc, smpp: Smpp) -> None:
    smsc.statuses = [0x58]

    assert isinstance(await smpp.submit(a_text(LONG)), NotSent)
    assert smsc.texts == []


async def test_nothing_has_left_where_there_is_no_centre(smsc: Smsc, smpp: Smpp) -> None:
    await smsc.bound.wait()
    await smsc.stop()

    outcome = await smpp.submit(a_text())

    assert isinstance(outcome, NotSent)


@pytest.mark.parametrize("status", [0x0D, 0x0E, 0x0F])
async def test_a_refused_bind_blocks_the_account(smsc: Smsc, ear: Ear, status: int) -> None:
    smsc.bind_status = status
    refused = Smpp(Centre("127.0.0.1", smsc.port, "studio", "wrong"), ear.hear, clock=lambda: NOON, longest_pause=0.3)

    outcome = await refused.submit(a_text())

    assert isinstance(outcome, Blocked)
    assert outcome.code == f"0x{status:02X}"
    await refused.close()


async def test_a_lost_session_is_made_again_and_texts_go_on(smsc: Smsc, smpp: Smpp) -> None:
    await smpp.submit(a_text())
    smsc.drop()
    await smsc.bound.wait()

    assert isinstance(await smpp.submit(a_text()), Accepted)
    assert len(smsc.binds) == 2


async def test_a_centre_that_asks_whether_we_are_there_is_told(smsc: Smsc, smpp: Smpp) -> None:
    await smsc.bound.wait()

    assert await smsc.enquire() == 0


async def test_a_silent_centre_is_asked_whether_it_is_there(
    smsc: Smsc, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smpp_session, "QUIET", 0.05)
    quiet = Smpp(Centre("127.0.0.1", smsc.port, "studio", "secret"), ear.hear, clock=lambda: NOON)

    await until(lambda: smsc.enquiries >= 2)

    await quiet.close()


async def test_a_lost_answer_cannot_be_asked_for(smpp: Smpp) -> None:
    assert isinstance(await smpp.lookup(a_text()), CannotTell)


async def test_two_hundred_at_once_are_each_answered_with_their_own_id(smsc: Smsc, smpp: Smpp) -> None:
    outcomes = await asyncio.gather(*(smpp.submit(a_text(f"Text {n}", key=f"m-{n}.1")) for n in range(200)))

    ids = [outcome.provider_id for outcome in outcomes if isinstance(outcome, Accepted)]
    assert len(set(ids)) == 200
    assert {text.text for text in smsc.texts} == {f"Text {n}" for n in range(200)}


# --- what is delivered -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stat", "fate"),
    [
        ("DELIVRD", Fate.DELIVERED),
        ("UNDELIV", Fate.UNDELIVERED),
        ("EXPIRED", Fate.UNDELIVERED),
        ("DELETED", Fate.UNDELIVERED),
        ("REJECTD", Fate.UNDELIVERED),
        ("ACCEPTD", Fate.SENT),
        ("ENROUTE", Fate.SENT),
        ("UNKNOWN", Fate.SENT),
    ],
)
async def test_a_receipt_tells_by_its_words(smsc: Smsc, smpp: Smpp, ear: Ear, stat: str, fate: Fate) -> None:
    await smpp.submit(a_text())

    assert await smsc.receipt("id-1", stat, err="0A7") == 0

    (receipt,) = ear.receipts
    assert (receipt.fate, receipt.provider_id) == (fate, "id-1")
    assert receipt.code == ("0A7" if fate is Fate.UNDELIVERED else None)


async def test_the_optional_parameters_of_a_receipt_outrank_its_words(smsc: Smsc, smpp: Smpp, ear: Ear) -> None:
    await smsc.bound.wait()
    tags = b"\x00\x1e\x00\x05id-9\0" + b"\x04\x27\x00\x01\x05"

    await smsc.receipt("another", "DELIVRD", tags=tags)

    assert [(one.provider_id, one.fate) for one in ear.receipts] == [("id-9", Fate.UNDELIVERED)]


async def test_what_a_client_wrote_in_the_receipts_text_is_not_read_as_its_state(
    smsc: Smsc, smpp: Smpp, ear: Ear
) -> None:
    await smsc.bound.wait()

    await smsc.deliver(b"id:id-1 stat:UNDELIV err:001 text:id:id-2 stat:DELIVRD", esm_class=0x04)

    assert [(one.provider_id, one.fate) for one in ear.receipts] == [("id-1", Fate.UNDELIVERED)]


async def test_a_long_text_has_arrived_when_each_part_has(smsc: Smsc, smpp: Smpp, ear: Ear) -> None:
    await smpp.submit(a_text(LONG))

    for known in ("id-2", "id-1"):
        await smsc.receipt(known)
    assert ear.receipts == []
    await smsc.receipt("id-3")

    assert ear.receipts == [Receipt(Fate.DELIVERED, "m-1.1", None)]


async def test_a_long_text_has_not_arrived_when_one_part_has_not(smsc: Smsc, smpp: Smpp, ear: Ear) -> None:
    await smpp.submit(a_text(LONG))

    await smsc.receipt("id-2", "UNDELIV", err="011")

    assert [(one.fate, one.reference, one.code) for one in ear.receipts] == [(Fate.UNDELIVERED, "m-1.1", "011")]


async def test_a_part_that_is_on_its_way_says_nothing_of_a_text_that_was_not_taken_whole(
    smsc: Smsc, smpp: Smpp, ear: Ear
) -> None:
    smsc.statuses = [0, 0x58]
    assert isinstance(await smpp.submit(a_text(LONG)), Unknown)

    await smsc.receipt("id-1", "ENROUTE")
    await smsc.receipt("id-1", "ACCEPTD")
    await smsc.receipt("id-1", "DELIVRD")

    assert ear.receipts == []


async def test_a_text_that_comes_in_is_kept_before_it_is_answered(smsc: Smsc, smpp: Smpp, ear: Ear) -> None:
    await smsc.bound.wait()

    assert await smsc.deliver(b"STOP") == 0

    ((text, part),) = ear.texts
    assert (text.text, text.sender, text.to, text.at, part) == ("STOP", "13125550188", "13125550100", NOON, None)


async def test_what_cannot_be_kept_is_to_be_brought_again(smsc: Smsc, smpp: Smpp, ear: Ear) -> None:
    await smsc.bound.wait()
    ear.keeps = False
    assert await smsc.deliver(b"STOP") == 0x64
    assert await smsc.receipt("id-1") == 0x64

    ear.keeps = True
    assert await smsc.deliver(b"STOP") == 0
    assert len(ear.texts) == 1


async def test_the_same_words_said_twice_are_two_texts(smsc: Smsc, smpp: Smpp, ear: Ear) -> None:
    await smsc.bound.wait()
    for words in (b"STOP", b"START", b"STOP"):
        await smsc.deliver(words)

    assert len({text.known_by for text, _ in ear.texts}) == 3


@pytest.mark.usefixtures("smpp")
@pytest.mark.parametrize(
    ("words", "coding", "text"),
    [
        ("¡Sí! 😀".encode("utf-16-be"), 8, "¡Sí! 😀"),
        ("Sí".encode("latin-1"), 3, "Sí"),
        (b"\x00\x1b\x65 ok", 0, "@€ ok"),
        ("Sí".encode("latin-1"), 0, "Sí"),  # some centres call that their default
        (b"yes", 1, "yes"),
        (b"yes", 0xF4, "yes"),
    ],
)
async def test_each_alphabet_is_read(smsc: Smsc, ear: Ear, words: bytes, coding: int, text: str) -> None:
    await smsc.bound.wait()

    await smsc.deliver(words, coding=coding)

    assert [one.text for one, _ in ear.texts] == [text]


@pytest.mark.usefixtures("smpp")
@pytest.mark.parametrize(
    ("esm_class", "words", "tags"),
    [
        (0x40, b"\x05\x00\x03\x07\x02\x01Hello ", b""),
        (0x40, b"\x06\x08\x04\x00\x07\x02\x01Hello ", b""),
        (0x00, b"Hello ", b"\x02\x0c\x00\x02\x00\x07\x02\x0e\x00\x01\x02\x02\x0f\x00\x01\x01"),
    ],
)
async def test_a_part_of_a_text_says_which_it_is(
    smsc: Smsc, ear: Ear, esm_class: int, words: bytes, tags: bytes
) -> None:
    await smsc.bound.wait()

    await smsc.deliver(words, esm_class=esm_class, tags=tags)

    ((text, part),) = ear.texts
    assert text.text == "Hello "
    assert part == ("13125550188 13125550100 7/2", 1, 2)


async def test_a_delivery_that_ends_within_a_field_is_refused_and_the_session_goes_on(
    smsc: Smsc, smpp: Smpp, ear: Ear
) -> None:
    await smsc.bound.wait()

    assert await smsc.deliver(b"x", tags=b"\x04\x24\x00\x40short") == 0x65
    assert await smsc.deliver(b"STOP") == 0
    assert len(ear.texts) == 1
