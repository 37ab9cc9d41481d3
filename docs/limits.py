"""The table of what we wait for, how long, how many at once, and what happens then: from the constants themselves."""

# ruff: noqa: INP001 - a script beside the pages, not a package

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from inspect import signature
from typing import Any, Final, TypeAlias

from control_center.crm import connection, dead_copies
from control_center.crm.inbox import Inbox
from control_center.crm.outbox import Outbox
from control_center.daemon.running import CONNECTIONS, CONNECTIONS_OF_THE_SPINE
from control_center.domain import retry
from control_center.engine import receipt_tray, relay
from control_center.loop import LONGEST_PAUSE
from control_center.settings import Account
from control_center.store import breakers, db
from control_center.web.parts import Limits
from workers import delivery, flight_recorder, inquiry
from workers.__main__ import MOST_CONNECTIONS
from workers.claims import LEASE
from workers.email import smtp
from workers.sms import line, smpp, smpp_session

Rows: TypeAlias = list[tuple[str, ...]]

SLOTS: Final = Account.model_fields["slots"].default
SILENT: Final = 3 * (connection.HEARTBEAT_SECONDS + 1)


def span(seconds: float | timedelta) -> str:
    """`90` as 90 s, `600` as 10 min."""
    number = seconds.total_seconds() if isinstance(seconds, timedelta) else float(seconds)
    for unit, length in (("h", 3600), ("min", 60)):
        if number > length and number % length == 0:
            return f"{number / length:g} {unit}"
    return f"{number:g} s"


def size(octets: int) -> str:
    return f"{octets >> 20} MiB" if octets >= 1 << 20 else f"{octets >> 10} KiB"


def default(of: Callable[..., Any], name: str) -> Any:
    return signature(of).parameters[name].default


def outward() -> Rows:
    """To whom, how long each step may take, how many at once, and what is done when that is over."""
    return [
        (
            "PostgreSQL, `database_url`",
            span(db.ACQUIRE_SECONDS),
            (
                f"{span(db.STATEMENT_SECONDS)} a statement (of `migrate`: as long as it takes); a silent server: "
                f"{db.SETTINGS['tcp_user_timeout'].removesuffix('s')} s"
            ),
            f"{CONNECTIONS} and {CONNECTIONS_OF_THE_SPINE} of `run`, at most {MOST_CONNECTIONS} of each worker",
            f"who finds none free waits {span(db.ACQUIRE_SECONDS)}: then a call is answered 503, a duty rests",
            (
                f"each duty by itself, after pauses of up to {span(LONGEST_PAUSE)}; where two transactions met, "
                f"{default(db.retried, 'tries')} times within seconds"
            ),
        ),
        (
            "RabbitMQ, `broker_url`",
            f"{span(connection.CONNECT_SECONDS)}, of a cluster for all its nodes together",
            (
                f"{span(connection.ANSWER_SECONDS)} for an answer, {span(default(Outbox, 'patience'))} for a confirm; "
                f"heartbeat every {connection.HEARTBEAT_SECONDS} s, silent for {SILENT} s is gone"
            ),
            (
                f"one connection to consume, one to publish; {default(Inbox, 'prefetch')} events unacknowledged, "
                f"{default(Outbox, 'in_flight')} messages unconfirmed"
            ),
            "events wait in the queue, commands and reports in the database",
            f"pauses of up to {span(LONGEST_PAUSE)}; a report that is not confirmed is published again under its id",
        ),
        (
            "an SMS provider over HTTP, `sms_url` or an account's `url`",
            span(line.CONNECT),
            f"{span(line.TOTAL)} for the whole call; an answer of {size(line.LARGEST_ANSWER)}",
            f"`slots` of the account ({SLOTS}); kept open for {span(line.IDLE)}",
            "texts wait in the database",
            "never, once a byte may have left; see below",
        ),
        (
            "an SMS centre by SMPP, an account's `url`",
            f"{span(smpp_session.CONNECT)} to connect and to bind",
            (
                f"{span(smpp_session.ANSWER)} for each part, {span(smpp.LONGEST)} for a text; asked if it is there "
                f"after {span(smpp_session.QUIET)} without a word"
            ),
            f"one session, `slots` ({SLOTS}) texts in its window",
            "texts wait in the database",
            f"connecting, after pauses of up to {span(smpp.LONGEST_PAUSE)}; a text never, once a byte may have left",
        ),
        (
            "a mail relay, `smtp_url` or an account's `url`",
            f"{span(smtp.COMMAND)} for each reply",
            f"{span(smtp.TALK)} for all of them, then {span(smtp.TAKING)} for the reply to the text",
            f"`slots` of the account ({SLOTS}); kept open for {span(smtp.IDLE)}, for {smtp.MESSAGES} mails",
            "mails wait in the database",
            "never, once the text has left; see below",
        ),
    ]


def tries() -> Rows:
    """What happens after an answer, or none."""
    return [
        (
            "proven not taken",
            (
                f"again after {span(retry.FIRST_WAIT)}, {retry.GROWTH} times as long each time, at most "
                f"{span(retry.LONGEST_WAIT)}, and never sooner than asked"
            ),
            f"{retry.MAX_ATTEMPTS} tries, of a mail {retry.MAIL_ATTEMPTS}; never past its use-by",
        ),
        (
            "refused because of our account",
            (
                f"held; after {breakers.OPENS_AT} in a row the account rests {span(breakers.FIRST_WAIT)}, doubling to "
                f"{span(breakers.LONGEST_WAIT)}, then one is tried"
            ),
            "no try is counted",
        ),
        (
            "perhaps taken",
            f"never sent again by itself. The provider is asked after {span(inquiry.YOUNGEST)}, where it can be",
            f"{inquiry.PATIENCE} questions within {span(inquiry.OLDEST)}; then it is for a person",
        ),
        (
            "a worker that is gone",
            f"what it had not begun to send is anybody's after {span(LEASE)}",
            "what it had begun is asked about, as above",
        ),
    ]


def inward() -> Rows:
    """Bounds of what a caller may ask of us."""
    limits = Limits()
    return [
        ("a body of the API, unpacked", size(limits.body), "413"),
        ("a body of a provider's call, unpacked", size(limits.hook_body), "413"),
        ("a mail that a relay brings, unpacked", size(limits.mail_body), "413"),
        ("the time that a body has to arrive", span(limits.body_seconds), "408"),
        ("the time before and between calls", span(limits.idle_seconds), "the connection is closed"),
        ("the time to store a provider's call", span(limits.hook_seconds), "503; it comes again"),
        ("calls of the API at once", str(limits.in_flight), "503, `Retry-After: 1`"),
        ("of these with an `Idempotency-Key`", str(limits.keyed), "they wait for each other"),
        ("mails that a relay brings, at once", str(limits.mails), "503, `Retry-After: 1`"),
    ]


def held() -> Rows:
    """What a process keeps in memory, so that none grows without end."""
    return [
        ("events given by the broker and not committed", f"{default(Inbox, 'prefetch')}", "the broker waits"),
        ("copies of dead events on their way to their queue", f"{dead_copies.WAITING}", "written down, not copied"),
        ("provider's calls that wait to be stored, for each account", f"{receipt_tray.ROOM}", "503; it comes again"),
        ("messages that a worker has at hand, for each account", f"{delivery.CLAIM_LIMIT} a claim", "none is claimed"),
        ("parts of texts by SMPP that await receipts", f"{smpp.REMEMBERED:,}", "the oldest is forgotten: as sent"),
        ("reports that are published in one turn", f"{relay.BATCH}", "they wait in the database"),
        (
            "places of a flight recorder",
            f"{flight_recorder.PLACES}",
            "the oldest settled note is written over",
        ),
    ]
