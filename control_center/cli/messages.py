"""`messages` and `sandbox`: what was sent, what waits for a worker, and what the sandbox took."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from control_center.cli import desk, prefixes, spending
from control_center.cli.aim import Aim, show
from control_center.cli.narrowing import instant_of, number_of, record_of
from control_center.cli.tables import as_json, columns, local, pairs
from control_center.cli.verbs import Work, group, verb
from control_center.domain.errors import Malformed, NotFound, Refused

if TYPE_CHECKING:
    from control_center.domain.message import State
    from control_center.domain.zones import Zone
    from control_center.store.views_messages import Message

CHANNELS: Final = ("sms", "email")


def add_to(app: typer.Typer) -> None:
    noun = group(app, "messages", "Texts and emails: each one, what became of it, and what the provider said.")
    everything = _listing("list", "List messages of both ways, newest first.")
    inbox = _listing("inbox", "List what came in, newest first; `new` is what nobody has read.")
    sent = _listing("sent", "List what was sent or waits to be, newest first.")
    verb(noun, "list", example="messages list --state unknown")(everything)
    verb(noun, "inbox", example="messages inbox --unread")(inbox)
    verb(noun, "sent", example="messages sent --client c-12")(sent)
    verb(noun, "show", example="messages show m-12")(show_one)
    verb(noun, "unrouted", example="messages unrouted", but=("studio",))(unrouted)
    desk.add_to(noun)
    prefixes.add_to(noun)
    spending.add_to(noun)
    sandbox = group(app, "sandbox", "The provider that sends nothing.")
    verb(sandbox, "outbox", example="sandbox outbox --demo", but=("studio",))(outbox)
    verb(
        sandbox,
        "receive",
        example='sandbox receive --demo --from +13125550188 --to +13125550100 "YES"',
        but=("studio",),
    )(receive)


def _listing(name: str, purpose: str) -> Work:
    """A verb that lists messages: all of them, or one of the two boxes; `purpose` is what its help says."""

    async def list_(
        aim: Aim,
        *,
        unread: Annotated[bool, typer.Option("--unread", help="Only what came in and nobody has read.")] = False,
        unlinked: Annotated[bool, typer.Option("--unlinked", help="Only what is of no client that we know.")] = False,
        attention: Annotated[bool, typer.Option("--attention", help="Only what a person should look at.")] = False,
        state: Annotated[
            list[str] | None, typer.Option(help="queued, accepted, unknown, ...; may be repeated.")
        ] = None,
        channel: Annotated[str, typer.Option(help="sms or email.")] = "",
        trigger: Annotated[str, typer.Option(help="Only of this trigger.")] = "",
        record: Annotated[str, typer.Option(help="Only about this record, such as session/4711.")] = "",
        client: Annotated[str, typer.Option(help="Only of this client.", metavar="ID")] = "",
        bulk: Annotated[str, typer.Option(help="Only of this bulk, such as b-12.", metavar="ID")] = "",
        made_by: Annotated[str, typer.Option(help="Only what this person wrote, or their bulks.", metavar="NAME")] = "",
        assigned_to: Annotated[str, typer.Option(help="Only what this person is to see to.", metavar="NAME")] = "",
        since: Annotated[str, typer.Option(help="Only from this time on.", metavar="TIME")] = "",
        until: Annotated[str, typer.Option(help="Only before this time.", metavar="TIME")] = "",
        text: Annotated[str, typer.Option(help="Only with all of these words, or this number or address.")] = "",
        limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
        cursor: Annotated[str, typer.Option(help="Where the page before ended.")] = "",
    ) -> None:
        from control_center.engine import hub
        from control_center.store.views_messages import Box, Filter

        async with aim.database() as here:
            zone = await here.zone()
            wanted = Filter(
                states=_states(state),
                box=None if name == "list" else Box(name),
                unread=unread,
                unlinked=unlinked,
                attention=attention,
                channel=_channel(channel),
                trigger=trigger or None,
                record=record_of(record) if record else None,
                client=client or None,
                bulk=number_of(bulk, "b") if bulk else None,
                made_by=made_by or None,
                assigned_to=assigned_to or None,
                since=instant_of("since", since or None, zone),
                until=instant_of("until", until or None, zone),
            )
            page = await hub.messages(
                here.pool,
                here.studio,
                wanted,
                text or None,
                cursor=cursor or None,
                limit=limit,
                patience=float("inf"),
            )
        if aim.json:
            as_json({"items": page.items, "next_cursor": page.next_cursor})
        else:
            columns([_line(one, name, zone) for one in page.items], none="no such message")

    list_.__doc__ = purpose
    return list_


def _channel(name: str) -> str | None:
    if name and name not in CHANNELS:
        raise Malformed("channel", f"{name[:40]!r}; allowed: {', '.join(CHANNELS)}")
    return name or None


def _states(names: list[str] | None) -> list[State] | None:
    from control_center.domain.message import State

    allowed = [one.value for one in State]
    for one in names or ():
        if one not in allowed:
            raise Malformed("state", f"{one!r}; allowed: {', '.join(allowed)}")
    return [State(one) for one in names] if names else None


def _line(one: Message, name: str, zone: Zone) -> dict[str, Any]:
    if name == "inbox":
        return {
            "id": one.id,
            "channel": one.channel,
            "from": one.sender,
            "client": one.client,
            "came": local(zone, one.created_at),
            "": "" if one.read_at is not None else "new",
            "text": (one.text or ", ".join(one.media))[:60],
            "attention": one.attention,
        }
    return {
        "id": one.id,
        "channel": one.channel,
        "state": one.state,
        "to": one.to,
        "record": one.record,
        "trigger": one.trigger or one.bulk or one.made_by,
        "sent": local(zone, one.sent_at),
        "reason": one.reason,
    }


async def show_one(aim: Aim, *, message: Annotated[str, typer.Argument(metavar="ID", help="Such as m-12.")]) -> None:
    """Show one message with every attempt to send it and every receipt."""
    import msgspec

    from control_center.store import db, views_attempts, views_messages

    number = number_of(message, "m")
    async with aim.database() as here, db.session(here.pool) as connection:
        found = await views_messages.message(connection, here.studio, number)
        attempts = await views_attempts.attempts(connection, here.studio, number)
        receipts = await views_attempts.receipts(connection, here.studio, number)
    if found is None:
        raise NotFound(f"there is no message {message!r} in studio {here.studio!r}")
    if aim.json:
        as_json({**msgspec.to_builtins(found), "attempt_list": attempts, "receipts": receipts})
        return
    pairs(msgspec.structs.asdict(found))
    for attempt in attempts:
        said = attempt.outcome or "no answer yet"
        show(f"attempt {attempt.key}  {attempt.started_at:%Y-%m-%d %H:%M:%S}Z  {said}  {attempt.reason or ''}".rstrip())
    for receipt in receipts:
        show(f"receipt  {receipt.received_at:%Y-%m-%d %H:%M:%S}Z  {receipt.fate}  {receipt.reason or ''}".rstrip())


async def unrouted(aim: Aim, *, limit: Annotated[int, typer.Option(min=1, max=1000)] = 50) -> None:
    """List what came in for an address that is no studio's, or that several might mean, as it came."""
    from dataclasses import asdict

    from control_center.store import conversations, db

    async with aim.database() as here, db.session(here.pool) as connection:
        found = await conversations.unrouted(connection, limit=limit)
    if aim.json:
        as_json(
            {
                "items": [
                    {"from" if name == "sender" else name: value for name, value in asdict(one).items()}
                    for one in found
                ]
            }
        )
        return
    columns(
        [
            {
                "came": f"{one.at:%Y-%m-%d %H:%M:%S}Z",
                "account": one.account,
                "from": one.sender,
                "to": one.to,
                "text": " ".join(one.body.split())[:100],
            }
            for one in found
        ],
        none="nothing came in that is nobody's",
    )


async def outbox(aim: Aim, *, limit: Annotated[int, typer.Option(min=1)] = 50) -> None:
    """Show what the sandbox providers accepted last."""
    import msgspec

    from control_center.daemon.place import OUTBOX
    from control_center.domain.wire.sandbox import read_outbox

    file = aim.quiet().data_dir / OUTBOX
    lines = read_outbox(file.read_bytes())[-limit:] if file.exists() else []
    if aim.json:
        as_json({"items": lines})
        return
    rows = [msgspec.to_builtins(one) for one in lines]
    columns(
        [{name: row[name] for name in ("at", "channel", "message", "to", "subject", "text")} for row in rows],
        none=f"the sandbox has accepted nothing yet ({file})",
    )


async def receive(
    aim: Aim,
    *,
    sender: Annotated[str, typer.Option("--from", help="Whose phone it comes from.")],
    to: Annotated[str, typer.Option("--to", help="The studio's number.")],
    text: Annotated[str, typer.Argument(metavar="TEXT")],
) -> None:
    """Let a text come in, by the same path as one that a provider brings."""
    from control_center.domain.inbound import brought_by_hand
    from control_center.engine.conversations import Conversations
    from control_center.service import now

    if aim.quiet().carriers("sms")["default"].provider != "sandbox":
        raise Refused("texts come in through a real provider here; the sandbox is switched off")
    async with aim.database() as here:
        inbound = brought_by_hand(sender, to, text, at=now())
        (taken,) = await Conversations(here.pool, now).take("sms/default", [(inbound, text)])
    if taken.message_id is None:
        raise NotFound(f"{to} is no studio's number; `control-center studios show` names those of a studio")
    told = {
        "message": f"m-{taken.message_id}",
        "studio": taken.studio,
        "client": taken.client_id,
        "meaning": taken.meaning,
        "attention": taken.attention,
    }
    if aim.json:
        as_json(told)
    else:
        pairs(told)
