"""Everything known of an address and its leave to be written to, on one page; and what a person adds to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from control_center.domain import number
from control_center.domain.consent import Purpose, Said, Standing, replay
from control_center.domain.errors import Malformed, NotFound, Refused
from control_center.engine import consenting
from control_center.engine.undeliverable import tell_lifted
from control_center.store import audit, consents, conversations, db, dead_numbers, desk, studios
from control_center.store.consents import Consent, Saying
from control_center.store.dead_numbers import DeadNumber


@dataclass(frozen=True, slots=True)
class Proof:
    """How an address stands, every line of its ledger, whose it is, and what has passed between it and the studio.

    `dead` is what was ever known of a number that takes no texts, also where that was taken back.
    """

    channel: str
    address: str
    standing: Standing
    said: list[Consent]
    dead: DeadNumber | None
    clients: list[str]
    sent: int
    suppressed: int
    received: int
    last_sent_at: datetime | None
    last_received_at: datetime | None


async def read(pool: db.Pool, studio: str, typed: str) -> Proof:
    """The proof for a number or address, as somebody typed it. Raises Malformed, NotFound."""
    async with db.session(pool) as tx:
        channel, address = await normal(tx, studio, typed)
        said = await consents.history(tx, studio, channel, address)
        dead = await dead_numbers.of_number(tx, studio, address)
        passed = await desk.passed(tx, studio, channel, address)
        clients = {one for one in passed[5] or () if one is not None}
        clients.update(await conversations.clients_at(tx, studio, address))
    standing = replay((one.purpose, one.says) for one in said)
    if dead is not None and dead.lifted_at is None:
        standing = replace(standing, dead=dead.reason)
    return Proof(channel, address, standing, said, dead, sorted(clients), *passed[:5])


async def record(
    pool: db.Pool,
    clock: Callable[[], datetime],
    studio: str,
    typed: str,
    *,
    says: Said,
    purpose: Purpose,
    evidence: str,
    by: str,
) -> str:
    """Write down what an address said, as a person knows it; returns its spelling. Raises Malformed, Refused."""

    async def work(tx: db.Connection) -> consenting.Effect:
        channel, address = await normal(tx, studio, typed)
        said = Saying(studio, channel, address, says, f"person: {by}", evidence, purpose)
        effect = await consenting.say(tx, said, clock())
        before = {"stopped": effect.before.stopped, "no_marketing": effect.before.no_marketing}
        after = {"purpose": purpose, "says": says, "evidence": evidence}
        await audit.write(tx, by, audit.Entry(studio, "record", f"consent/{address}", before, after))
        return effect

    effect = await db.retried(pool, work)
    consenting.tell(effect)
    return effect.said.address


async def takes_texts(pool: db.Pool, studio: str, typed: str, *, evidence: str, by: str) -> str:
    """A person knows that a number takes texts after all; returns its spelling. Raises Malformed, NotFound, Refused."""
    why = f"person: {by}"

    async def work(tx: db.Connection) -> str:
        channel, address = await normal(tx, studio, typed)
        known = await dead_numbers.of_number(tx, studio, address) if channel == "sms" else None
        if known is None or not await dead_numbers.lift(tx, [(studio, address)], why):
            raise Refused("nothing says that this number takes no texts")
        before, after = {"dead": known.reason}, {"dead": None, "evidence": evidence}
        await audit.write(tx, by, audit.Entry(studio, "record", f"consent/{address}", before, after))
        return address

    address = await db.retried(pool, work)
    tell_lifted([(studio, address)], why)
    return address


async def normal(tx: db.Connection, studio: str, typed: str) -> tuple[str, str]:
    """Channel and spelling under which an address is kept. Raises Malformed, NotFound."""
    known = (await studios.get(tx, [studio])).get(studio)
    if known is None:
        raise NotFound(f"there is no studio {studio!r}")
    found = number.email(typed) if "@" in typed else number.phone(typed, known.country, recipient=False)
    if isinstance(found, number.Unusable):
        raise Malformed("address", f"{typed[:60]!r}: {found.reason}")
    return ("sms", found.e164) if isinstance(found, number.Phone) else ("email", found)
