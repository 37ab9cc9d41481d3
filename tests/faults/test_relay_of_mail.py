"""The relay that mail leaves by goes away at each step of a conversation: what that proves is what is believed."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.support.bookings import booking
from tests.support.far import WAITED, Far, Install, far_away, mailing
from tests.support.matrix import Seen
from tests.support.smtp_stub import DROP, RESET, TAKEN_THEN_DROP, Act, Place

pytestmark = pytest.mark.process

# Where the connection goes, how, and what must be believed of the mail then.
BEFORE: Final = (
    (Place.MAIL, DROP, "queued"),
    (Place.RCPT, DROP, "queued"),
    (Place.DATA, DROP, "queued"),
    (Place.DATA, RESET, "queued"),
)
AFTER: Final = (
    (Place.DOT, DROP, "unknown"),  # and the relay has thrown it away
    (Place.DOT, TAKEN_THEN_DROP, "unknown"),
    (Place.AFTER, DROP, "accepted"),
    (Place.QUIT, DROP, "accepted"),
)
OF: Final = "SELECT state, reason, tries FROM messages WHERE record_id = $1"


@pytest.mark.fault("F37")
@pytest.mark.parametrize("rounds", [1, pytest.param(25, marks=pytest.mark.long)])
async def test_f37_a_relay_that_goes_before_the_last_dot_gets_the_mail_again_and_after_it_never(
    install: Install, rounds: int, seen: Seen
) -> None:
    async with far_away(install, triggers=mailing("Booked")) as far:
        program = await far.run()
        for one in range(rounds):
            for number, (place, act, expected) in enumerate(BEFORE + AFTER):
                await _meets(far, f"r{one}-{number}", place, act, expected)
        assert len(far.mail.accepted) == rounds * (len(BEFORE) + 3)
        # The connection that is still open is parted from, and goes at QUIT.
        far.mail.on(Place.QUIT, DROP)
        await program.stop()
        assert "QUIT" in far.mail.commands
        unknown = [
            row[0] for row in await far.here.sql("SELECT 'm-' || message_id FROM messages WHERE state = 'unknown'")
        ]

        # Whoever comes next sends nothing of it again.
        await far.run()
        await _meets(far, "later", Place.GREETING, Act(b"220 stub ESMTP\r\n"), "accepted")
        await far.calm()
        await far.heard()
        findings = await far.check()
        assert not findings.faults
        assert sorted(findings.unknown) == sorted(unknown)
        assert len(unknown) == 2 * rounds
        letters = [letter.recipients for letter in far.mail.accepted]
        assert len(letters) == len(set(letters)) == rounds * (len(BEFORE) + 3) + 1
        seen("MAIL, RCPT, DATA: sent again, once; dot: unknown; after the 250 and in QUIT: accepted; none twice")


async def _meets(far: Far, record: str, place: Place, act: Act, expected: str) -> None:
    """One more mail, whose relay does that at that place; and again, where nothing had been taken."""
    far.mail.hang_up()  # so that it is no connection from before, which might be replaced within the same attempt
    await far.mail.until_open(0, within=60)
    far.mail.on(place, act)
    body = booking(record, number=len(far.crm.said))
    await far.crm.say([body])
    if expected == "queued":
        await far.here.holds("SELECT count(*) FROM messages WHERE record_id = $1 AND tries = 1", record)
        row = await _row(far, record)
        assert (row["state"], row["reason"].split(":")[0]) == ("queued", "retry")
        assert f"smtp {place.value}" in row["reason"]
        await far.here.sql(WAITED)
        expected = "accepted"
    await far.here.holds("SELECT count(*) FROM messages WHERE record_id = $1 AND state = $2", record, expected)
    if expected == "unknown":
        assert "smtp dot" in (await _row(far, record))["reason"]


async def _row(far: Far, record: str) -> Any:
    (row,) = await far.here.sql(OF, record)
    return row
