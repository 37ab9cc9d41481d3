"""Properties and headers that no strict reader takes: the message is taken in all the same, and costs nobody else."""

from __future__ import annotations

import struct

import pytest
from pamqp import commands

from control_center.crm.connection import connect
from control_center.crm.inbox import Inbox
from tests.crm.test_inbox import Database, crm, eventually, running  # noqa: F401 - a fixture

CONTENT_TYPE, HEADERS, MESSAGE_ID, TIMESTAMP, APP_ID = 1 << 15, 1 << 13, 1 << 7, 1 << 6, 1 << 3


class Written(commands.Basic.Properties):
    """Properties that leave as these bytes, whatever a library would say of them."""

    raw = b""

    def marshal(self) -> bytes:
        return self.raw


def written(flags: int, values: bytes) -> Written:
    properties = Written(message_id="as the library wants one")
    properties.raw = struct.pack(">H", flags) + values
    return properties


def short(text: bytes) -> bytes:
    return bytes([len(text)]) + text


def table(*entries: bytes) -> bytes:
    inside = b"".join(entries)
    return struct.pack(">I", len(inside)) + inside


ODD = {
    "a name in Latin-1": written(APP_ID, short("Fotostudio Köln".encode("latin-1"))),
    "a time in microseconds": written(TIMESTAMP, struct.pack(">Q", 1_795_276_800_000_000)),
    "a time beyond all": written(TIMESTAMP, b"\xff" * 8),
    "a header named in Latin-1": written(HEADERS, table(short("größe".encode("latin-1")) + b"t\x01")),
    "a header with a time beyond all": written(HEADERS, table(short(b"at") + b"T" + b"\xff" * 8)),
    "a header nested beyond reading": written(
        HEADERS,
        table(
            short(b"deep") + b"A" + b"".join(struct.pack(">I", 5 * n) + b"A" for n in range(3000, 0, -1)) + b"\0\0\0\0"
        ),
    ),
}


@pytest.mark.parametrize("name", ODD)
async def test_a_message_is_taken_in_whatever_its_properties_are(broker_url: str, name: str) -> None:
    database = Database()
    inbox = Inbox(broker_url, database.commit)
    async with running(inbox):
        await eventually(lambda: inbox.attached)
        async with await connect(broker_url, "crm") as connection, connection.channel() as channel:
            underlay = await channel.get_underlay_channel()
            await underlay.basic_publish(b"before", exchange="crm.events", routing_key="main.session.created")
            await underlay.basic_publish(
                b"odd", exchange="crm.events", routing_key="main.session.created", properties=ODD[name]
            )
            await underlay.basic_publish(b"after", exchange="crm.events", routing_key="main.session.created")
        await eventually(lambda: len(database.bodies) >= 3)
    assert database.bodies == [b"before", b"odd", b"after"]
