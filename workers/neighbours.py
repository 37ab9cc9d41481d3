"""Texts to many numbers of one prefix: what would be one too many within an hour waits for a person, with the reason.

Texts are caused by records of the CRM and by people, so this is a fence against a list of wrong numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import structlog

from control_center.domain.message import Origin, State
from control_center.domain.prefixes import Prefix, admit, prefix_of
from control_center.store import db, messages
from control_center.store import prefixes as store
from control_center.store.messages import Return
from control_center.store.prefixes import Key
from control_center.store.submissions import Ready
from workers.settling import tell

log = structlog.get_logger(__name__)


async def few(connection: db.Connection, ready: Sequence[Ready], now: datetime) -> list[Ready]:
    """What of these may go; what is one number too many of its prefix is held, and so is all behind it.

    One transaction for all, and none where no studio has such a limit. The answers to STOP and HELP go in any case.
    """
    asking: dict[Key, list[Ready]] = {}
    for one in ready:
        if (key := _key(one)) is not None:
            asking.setdefault(key, []).append(one)
    if not asking:
        return list(ready)
    held: list[tuple[Ready, Return]] = []
    shut: list[tuple[Key, Prefix]] = []
    async with connection.transaction():
        before = await store.lock(connection, asking)
        after = {key: _admitted(before[key], those, held, now) for key, those in asking.items()}
        await store.save(connection, {key: one for key, one in after.items() if one != before[key]})
        await messages.put_back(connection, [back for _, back in held])
        shut = [(key, one) for key, one in after.items() if one.shut and not before[key].shut]
    for (studio, _), prefix in shut:
        log.warning("prefix.shut", studio=studio, reason=prefix.reason)
    for one, back in held:
        tell(one.case, back.state, back.reason)
    stopped = {one.case.message_id for one, _ in held}
    return [one for one in ready if one.case.message_id not in stopped]


def _key(one: Ready) -> Key | None:
    case = one.case
    if case.channel != "sms" or case.studio.sms_limits.per_prefix is None or case.origin is Origin.ANSWER:
        return None
    prefix = prefix_of(case.address)
    return None if prefix is None else (case.studio.studio, prefix)


def _admitted(before: Prefix, those: Sequence[Ready], held: list[tuple[Ready, Return]], now: datetime) -> Prefix:
    """The prefix afterwards; who does not go is added to `held`."""
    limit = those[0].case.studio.sms_limits.per_prefix
    assert limit is not None, "only studios with a limit ask"
    found = admit(before, [one.case.address for one in those], limit, now)
    for one in those[found.goes :]:
        case = one.case
        back = Return(case.studio.studio, case.message_id, case.token, State.HELD, found.prefix.reason)
        held.append((one, back))
    return found.prefix
