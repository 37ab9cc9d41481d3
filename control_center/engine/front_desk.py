"""What a person of the studio does with a message: read it, link it, hand it on, settle what nobody could know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import structlog

from control_center.domain.command import Cause, Command, command
from control_center.domain.errors import Malformed, NotFound, Refused
from control_center.domain.message import State
from control_center.engine import reports, text_plans
from control_center.engine.reports import Step
from control_center.store import audit, catalogs, commands, db, desk, records, users
from control_center.store.desk import Piece

log = structlog.get_logger(__name__)

_BY_A_PERSON: Final = Cause(None, None, None, None)
_EVENTS: Final = {State.ACCEPTED: "message.accepted", State.FAILED: "message.failed"}


async def mark_read(pool: db.Pool, studio: str, numbers: Sequence[int], *, is_read: bool) -> None:
    """Say whether incoming messages have been read. Raises NotFound where one of them did not come in."""
    async with db.transaction(pool) as tx:
        missing = set(numbers) - set(await desk.read(tx, studio, numbers, is_read=is_read))
        if missing:
            raise NotFound(f"there is no incoming message {', '.join(f'm-{one}' for one in sorted(missing))}")


# Linking ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Linked:
    """What was linked, and how many messages with the address are still nobody's: linked, too, when asked for."""

    linked: list[int]
    earlier: int


async def link(
    pool: db.Pool,
    studio: str,
    message_id: int,
    client_id: str | None,
    *,
    record: tuple[str, str] | None = None,
    earlier: bool = False,
    by: str,
) -> Linked:
    """Link a message to a client and perhaps a record of theirs, or with None to nobody; later ones follow.

    `earlier` links those that passed before and are nobody's, too; else the answer says how many these are. Raises
    NotFound, and Malformed for a client or a record that there is not.
    """

    async def work(tx: db.Connection) -> tuple[Linked, Piece]:
        piece = await _locked(tx, studio, message_id)
        await _check(tx, studio, client_id, record)
        others = await desk.earlier(tx, studio, piece) if client_id is not None else []
        numbers = [message_id, *(others if earlier else ())]
        await desk.link(tx, studio, piece, numbers, client_id=client_id, by=str(by))
        if record is not None:
            await desk.link_record(tx, studio, message_id, record)
        await commands.enqueue(tx, [_linkage(studio, piece, one, client_id, by) for one in numbers])
        before, after = {"client": piece.client_id}, {"client": client_id, "messages": [f"m-{n}" for n in numbers]}
        await audit.write(tx, by, audit.Entry(studio, "link", f"message/m-{message_id}", before, after))
        return Linked(numbers, 0 if earlier else len(others)), piece

    done, _ = await db.retried(pool, work)
    log.info("message.linked", studio=studio, message=f"m-{message_id}", client=client_id, count=len(done.linked))
    return done


async def _check(tx: db.Connection, studio: str, client_id: str | None, record: tuple[str, str] | None) -> None:
    keys = {"client": ("client", client_id) if client_id is not None else None, "record": record}
    for name, key in keys.items():
        if key is None or key[1] is None:
            continue
        picture = (await records.get(tx, [(studio, key[0], key[1])])).get((studio, key[0], key[1]))
        if picture is None or picture.deleted:
            raise Malformed(name, f"there is no {key[0]} {key[1]!r}")
        if name == "record" and key[0] != "client" and picture.client_id != client_id:
            raise Malformed("record", f"{'/'.join((key[0], key[1]))} is not of client {client_id!r}")


def _linkage(studio: str, piece: Piece, message_id: int, client_id: str | None, by: str) -> Command:
    message = f"m-{message_id}"
    subject = f"client/{client_id}" if client_id is not None else f"message/{message}"
    data = {
        "message": message,
        "channel": piece.channel,
        "address": piece.address,
        "client_id": client_id,
        "by": str(by),
    }
    of = f"{message} linked to {client_id} from {piece.client_id}"
    return command(studio, subject, "message.linked", data, cause=_BY_A_PERSON, of=of)


# Handing on -------------------------------------------------------------------------------------------------


async def assign(pool: db.Pool, studio: str, message_id: int, user: str | None, *, by: str) -> None:
    """Give a message to a person of the studio to see to, or with None to nobody. Raises NotFound, Malformed."""
    async with db.transaction(pool) as tx:
        piece = await _locked(tx, studio, message_id)
        if user is not None:
            await _check_user(tx, studio, user)
        await desk.assign(tx, studio, message_id, user)
        before, after = {"assigned_to": piece.assigned_to}, {"assigned_to": user}
        await audit.write(tx, by, audit.Entry(studio, "assign", f"message/m-{message_id}", before, after))


async def _check_user(tx: db.Connection, studio: str, user: str) -> None:
    """Raises Malformed for somebody who neither may look at this studio nor works for it."""
    known = {one.name for one in await users.every(tx) if one.active and one.sees(studio)}
    known |= {name for name, found in (await catalogs.users(tx, studio)).items() if found}
    if user not in known:
        raise Malformed("user", f"nobody of this studio is called {user!r}; allowed: {', '.join(sorted(known))}")


@dataclass(frozen=True, slots=True)
class Task:
    """A task that the CRM is asked for. Without a subject it is the beginning of the message."""

    subject: str | None = None
    description: str | None = None
    type: str | None = None
    priority: str | None = None
    due_date: date | None = None
    assign: str | None = None


async def make_task(
    pool: db.Pool, clock: Callable[[], datetime], studio: str, message_id: int, task: Task, *, by: str
) -> str:
    """Ask the CRM for a task about a message; returns the id of the command. Raises Refused where one was asked for."""
    async with db.transaction(pool) as tx:
        piece = await _locked(tx, studio, message_id)
        if piece.task is not None:
            raise Refused(f"a task about m-{message_id} was asked for already (command {piece.task})")
        data = _task(piece, task, clock())
        of = f"m-{message_id} task"
        made = command(studio, piece.subject_of_commands, "create_task", data, cause=_BY_A_PERSON, of=of)
        await commands.enqueue(tx, [made])
        await desk.set_task(tx, studio, message_id, made.command_id)
        entry = audit.Entry(studio, "task", f"message/m-{message_id}", None, {"command": made.command_id})
        await audit.write(tx, by, entry)
    return made.command_id


def _task(piece: Piece, task: Task, now: datetime) -> dict[str, Any]:
    direction = "from" if piece.origin == "client" else "to"
    text = piece.body or ""
    opening = " ".join(text.split())[:60]
    return {
        "client_id": piece.client_id,
        "links": {piece.kind: piece.record_id} if piece.record is not None and piece.kind != "client" else {},
        "task_type": task.type,
        "subject": task.subject or f"{piece.channel} {direction} {piece.address}: {opening}",
        "description": task.description or text,
        "start_date": now.date(),
        "due_date": task.due_date or now.date(),
        "priority": task.priority,
        "assign": task.assign or piece.assigned_to,
        "message": f"m-{piece.message_id}",
    }


# Settling ---------------------------------------------------------------------------------------------------


async def resolve(pool: db.Pool, studio: str, message_id: int, *, sent: bool, evidence: str, by: str) -> State:
    """Settle an unknown message as a person found out; it is never sent again by that. Raises NotFound, Refused.

    Whoever wants it sent after all writes another one in its place, which has a key of its own.
    """
    state = State.ACCEPTED if sent else State.FAILED
    said = "sent" if sent else "not sent"

    async def work(tx: db.Connection) -> None:
        piece = await _locked(tx, studio, message_id)
        reason = f"{said}, says {by}: {evidence} (was unknown: {piece.reason})"
        if not await desk.resolve(tx, studio, message_id, state=state.value, reason=reason, by=str(by)):
            raise Refused(f"m-{message_id} is {piece.state}; only what is unknown is settled by a person")
        await reports.tell(tx, [Step(studio, message_id, state)])
        if sent:
            await text_plans.count(tx, [(studio, message_id)])
        before, after = {"state": piece.state, "reason": piece.reason}, {"state": state, "reason": reason}
        await audit.write(tx, by, audit.Entry(studio, "resolve", f"message/m-{message_id}", before, after))

    await db.retried(pool, work)
    log.info(_EVENTS[state], studio=studio, message=f"m-{message_id}", reason=f"{said}, says {by}")
    return state


async def _locked(tx: db.Connection, studio: str, message_id: int) -> Piece:
    found = await desk.lock(tx, studio, message_id)
    if found is None:
        raise NotFound(f"there is no message m-{message_id}")
    return found
