"""`emit`: CloudEvents from a file to where the CRM's come in."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from control_center.cli.aim import Aim, show
from control_center.cli.tables import as_json
from control_center.cli.verbs import verb
from control_center.domain.errors import ConfigurationError, Malformed

if TYPE_CHECKING:
    from control_center.settings import Settings

AT_ONCE: Final = 200  # events of one publication or one POST


def add_to(app: typer.Typer) -> None:
    verb(app, "emit", example="emit events.ndjson", but=("studio",))(emit)


async def emit(
    aim: Aim, *, file: Annotated[str, typer.Argument(metavar="FILE", help="CloudEvents, one a line; - is stdin")]
) -> None:
    """Send CloudEvents from an NDJSON file through the broker, or over HTTP where there is none."""
    settings = aim.quiet()
    bodies = _read(file)
    for line, body in enumerate(bodies, start=1):
        routing_key(body, line)  # the first that is no event at all, before any is sent
    broker_url, http, token = _way(aim, settings)
    sent = 0
    for first in range(0, len(bodies), AT_ONCE):
        some = bodies[first : first + AT_ONCE]
        sent += await (publish(broker_url, some, first) if broker_url else post(http, token, some, first))
    by = "the broker" if broker_url else http
    if aim.json:
        as_json({"sent": sent, "by": "broker" if broker_url else "http"})
    else:
        show(f"{sent} event{'' if sent == 1 else 's'} sent through {by}")


def _read(file: str) -> list[bytes]:
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from None
    return [line for line in data.splitlines() if line.strip()]


def _way(aim: Aim, settings: Settings) -> tuple[str, str, str]:
    """The broker's URL, else the address and the token for HTTP. The configured one comes first."""
    running = aim.endpoints(settings)
    if url := broker_of(aim, settings):
        return url, "", ""
    if running and running.http:
        return "", running.http, Path(running.api_token_file).read_text("utf-8").strip()
    raise ConfigurationError(
        f"no broker is configured and nothing runs in {settings.data_dir}; start it with: control-center run"
    )


def broker_of(aim: Aim, settings: Settings) -> str:
    """The broker's URL, the one that is configured before that of what runs here; empty where there is none."""
    if configured := settings.broker_url.get_secret_value():
        return "" if configured == "none" else configured
    running = aim.endpoints(settings)
    return running.broker_url if running else ""


def routing_key(body: bytes, line: int = 0) -> str:
    """`<studio>.<kind>.<verb>`, as the event says of itself; the engine judges what it says. Raises Malformed."""
    import msgspec

    try:
        event: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        event = None
    if not isinstance(event, dict):
        raise Malformed(f"line {line}", "is no CloudEvent: a JSON object is needed")
    kind, _, happened = str(event.get("type", "unknown")).removeprefix("crm.").partition(".")
    return f"{event.get('studio', 'unknown')}.{kind}.{happened or 'all'}"[:255]


async def publish(url: str, bodies: Sequence[bytes], first: int = 0) -> int:
    """Publish on the CRM's exchange and wait for every confirmation; returns how many that were."""
    from control_center.crm.outbox import Outbox, Parcel, Published
    from control_center.crm.topology import Topology

    exchange = Topology().events_exchange
    parcels = [Parcel(exchange, routing_key(body, first + number), body) for number, body in enumerate(bodies, start=1)]
    outbox = Outbox(url, name="control-center emit")
    try:
        for number, receipt in enumerate(await outbox.publish(parcels), start=first + 1):
            if not isinstance(receipt, Published):
                raise ConfigurationError(f"line {number} was not confirmed by the broker: {receipt.reason}")
    finally:
        await outbox.close()
    return len(parcels)


async def post(http: str, token: str, bodies: Sequence[bytes], first: int = 0) -> int:
    """Hand events to the API; returns how many it took. Raises Malformed for the first that it rejects."""
    import aiohttp
    import msgspec

    body = b"[" + b",".join(bodies) + b"]"
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession(trust_env=False) as session,
        session.post(f"{http}/api/v1/events", data=body, headers=headers) as answer,
    ):
        said = await answer.read()
        if answer.status != 202:
            raise ConfigurationError(f"{http} answered {answer.status}: {said[:300].decode('utf-8', 'replace')}")
    found: Any = msgspec.json.decode(said)
    for number, one in enumerate(found.get("items", []), start=first + 1):
        if one.get("result", one.get("status")) == "rejected":
            raise Malformed(f"line {number}, {one.get('field', '')}", str(one.get("reason", "rejected")))
    return len(bodies)
