"""`messages send|read|unread|link|assign|task|resolve`: what people do with messages."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Annotated

import typer

from control_center.cli.aim import Aim, note, person, show
from control_center.cli.narrowing import number_of, record_of
from control_center.cli.tables import as_json
from control_center.cli.verbs import verb
from control_center.domain.errors import Malformed

Id = Annotated[str, typer.Argument(metavar="ID", help="Such as m-12.")]
Ids = Annotated[list[str], typer.Argument(metavar="ID", help="Such as m-12; may be repeated.")]


def add_to(noun: typer.Typer) -> None:
    verb(noun, "send", example='messages send --client c-12 "The key is under the mat."')(send)
    verb(noun, "read", example="messages read m-12 m-13")(read)
    verb(noun, "unread", example="messages unread m-12")(unread)
    verb(noun, "link", example="messages link m-12 --client c-12 --earlier")(link)
    verb(noun, "assign", example="messages assign m-12 --to Ada")(assign)
    verb(noun, "task", example='messages task m-12 --subject "Call back"')(task)
    verb(noun, "resolve", example='messages resolve m-12 --not-sent --evidence "not in the log of the provider"')(
        resolve
    )


async def send(
    aim: Aim,
    *,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="In your own words; left out with --template.")] = "",
    to: Annotated[str, typer.Option(help="A number or an address; of a client one of theirs.")] = "",
    client: Annotated[str, typer.Option(help="The client it is for; left out, it is in nobody's history.")] = "",
    record: Annotated[str, typer.Option(help="What it is about, such as session/4711.")] = "",
    reply_to: Annotated[str, typer.Option(help="The message that it answers.", metavar="ID")] = "",
    again: Annotated[str, typer.Option(help="The message, proven not sent, that it is instead of.")] = "",
    template: Annotated[str, typer.Option(help="The template to fill in.")] = "",
    channel: Annotated[str, typer.Option(help="sms or email.")] = "",
    subject: Annotated[str, typer.Option(help="Of an email.")] = "",
    user: Annotated[str, typer.Option(help="In whose name it is written; left out, in yours.")] = "",
) -> None:
    """Write one text or email to one address. Who said STOP is not written to."""
    from control_center.domain.links import Links
    from control_center.engine import individual
    from control_center.engine.addressee import Letter
    from control_center.service import now
    from control_center.settings import link_key

    if channel not in ("", "sms", "email"):
        raise Malformed("channel", f"{channel!r}; allowed: sms, email")
    letter = Letter(
        channel=channel or None,
        to=to or None,
        client=client or None,
        record=record_of(record) if record else None,
        reply_to=number_of(reply_to, "m") if reply_to else None,
        again=number_of(again, "m") if again else None,
        template=template or None,
        text=text or None,
        subject=subject or None,
        user=user or None,
    )
    settings = aim.settings()
    key = link_key.find(settings)
    links = Links(settings.links_base, key) if key is not None else None
    async with aim.database() as here:
        sent = await individual.send(here.pool, now, here.studio, letter, by=person(), links=links)
    for warning in sent.warnings:
        note(warning)
    for one in sent.advice:
        note(f"advice: {one}")
    if aim.json:
        advice = [asdict(one) for one in sent.advice]
        as_json({"id": f"m-{sent.message_id}", "warnings": sent.warnings, "advice": advice})
    else:
        show(f"m-{sent.message_id} is queued")


async def read(aim: Aim, *, messages: Ids) -> None:
    """Say that incoming messages have been read."""
    await _mark(aim, messages, is_read=True)


async def unread(aim: Aim, *, messages: Ids) -> None:
    """Say that incoming messages are to be read again."""
    await _mark(aim, messages, is_read=False)


async def _mark(aim: Aim, messages: list[str], *, is_read: bool) -> None:
    from control_center.engine import front_desk

    numbers = [number_of(one, "m") for one in messages]
    async with aim.database() as here:
        await front_desk.mark_read(here.pool, here.studio, numbers, is_read=is_read)
    if aim.json:
        as_json({"items": [f"m-{one}" for one in numbers], "read": is_read})


async def link(
    aim: Aim,
    *,
    message: Id,
    client: Annotated[str, typer.Option(help="Whose it is.", metavar="ID")] = "",
    nobody: Annotated[bool, typer.Option("--nobody", help="It is of no client we know: the number decides.")] = False,
    record: Annotated[str, typer.Option(help="What it is about, such as session/4711.")] = "",
    earlier: Annotated[bool, typer.Option("--earlier", help="Also what passed before and is nobody's.")] = False,
) -> None:
    """Say whose a message is. What comes from that number later is theirs, too."""
    from control_center.engine import front_desk

    if bool(client) == nobody:
        raise typer.BadParameter("give --client or --nobody")
    about = record_of(record) if record else None
    async with aim.database() as here:
        done = await front_desk.link(
            here.pool,
            here.studio,
            number_of(message, "m"),
            client or None,
            record=about,
            earlier=earlier,
            by=person(),
        )
    if aim.json:
        as_json({"linked": [f"m-{one}" for one in done.linked], "earlier": done.earlier})
        return
    show(f"linked: {', '.join(f'm-{one}' for one in done.linked)}")
    if done.earlier:
        show(f"{done.earlier} more with that number are nobody's; --earlier links them, too")


async def assign(
    aim: Aim,
    *,
    message: Id,
    to: Annotated[str, typer.Option(help="The person who is to see to it; left out, nobody is.", metavar="NAME")] = "",
) -> None:
    """Give a message to somebody to see to."""
    from control_center.engine import front_desk

    async with aim.database() as here:
        await front_desk.assign(here.pool, here.studio, number_of(message, "m"), to or None, by=person())
    if aim.json:
        as_json({"id": message, "assigned_to": to or None})


async def task(
    aim: Aim,
    *,
    message: Id,
    subject: Annotated[str, typer.Option(help="By default how the message begins.")] = "",
    due: Annotated[str, typer.Option(help="By default today.", metavar="DATE")] = "",
    priority: Annotated[str, typer.Option(help="As the CRM calls it.")] = "",
    to: Annotated[str, typer.Option(help="Who is to do it.", metavar="NAME")] = "",
) -> None:
    """Ask the CRM for a task about a message, once."""
    from control_center.engine import front_desk
    from control_center.engine.front_desk import Task
    from control_center.service import now

    try:
        day = date.fromisoformat(due) if due else None
    except ValueError:
        raise Malformed("due", f"{due!r} is not a day; write it as 2027-06-05") from None
    wanted = Task(subject=subject or None, priority=priority or None, due_date=day, assign=to or None)
    async with aim.database() as here:
        command = await front_desk.make_task(here.pool, now, here.studio, number_of(message, "m"), wanted, by=person())
    if aim.json:
        as_json({"id": message, "command": command})
    else:
        show(f"the CRM is asked for a task (command {command})")


async def resolve(
    aim: Aim,
    *,
    message: Id,
    sent: Annotated[bool, typer.Option("--sent", help="It was sent.")] = False,
    not_sent: Annotated[bool, typer.Option("--not-sent", help="It was not sent.")] = False,
    evidence: Annotated[str, typer.Option(help="How you know; kept with it.")] = "",
    reading: Annotated[str, typer.Option(help="What a doubtful text means: confirmation, score, no, ...")] = "",
    score: Annotated[int | None, typer.Option(min=0, max=10, help="Which score, where there are several.")] = None,
) -> None:
    """Settle a message that may have been sent, or say how a doubtful text is meant. Nothing is sent by that."""
    from control_center.engine import front_desk, readings
    from control_center.service import now

    if sent + not_sent + bool(reading) != 1:
        raise typer.BadParameter("give one of --sent, --not-sent and --reading")
    if not reading and not evidence:
        raise typer.BadParameter("--evidence says how you know whether it was sent")
    if reading and reading not in readings.MEANINGS:
        raise Malformed("reading", f"{reading!r}; allowed: {', '.join(readings.MEANINGS)}")
    number = number_of(message, "m")
    async with aim.database() as here:
        if reading:
            choice = readings.Choice(reading, score)
            await readings.choose(here.pool, now, here.studio, number, choice, by=person())
        else:
            await front_desk.resolve(here.pool, here.studio, number, sent=sent, evidence=evidence, by=person())
    if aim.json:
        as_json({"id": message, "resolved": reading or ("sent" if sent else "not_sent")})
