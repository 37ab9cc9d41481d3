"""A database on several servers, of which one takes writes: each is asked in turn, and a silent one only for a while.

The library asks them in turn as well, and gives all of them together the time of one: a host that has vanished without
a word would use it up, and the one that has taken over would never be asked.
"""

from __future__ import annotations

import socket
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

import asyncpg

from control_center.domain.server_list import each_server

# A host that has vanished says nothing: a statement on its way there would wait its whole time for an answer, and after
# it that of the pool's next connection. So the system asks whether somebody is there, and ends the connection if not.
# In seconds, and the last in milliseconds.
_WATCHED: Final = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 25_000}
_SILENT: Final = (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError, asyncpg.InternalClientError)


async def connect(dsn: str, *, timeout: float, **options: Any) -> asyncpg.Connection:  # noqa: ASYNC109 - the pool names it
    """Connect to the first of them that fits, with an equal share of the `timeout` (in seconds) for each.

    What else it takes is the library's. Raises what the last of them came to.
    """
    every = one_by_one(dsn)
    share = timeout / len(every)
    for each in every[:-1]:
        try:
            return _watched(await asyncpg.connect(each, timeout=share, **options))
        except _SILENT:
            continue
    return _watched(await asyncpg.connect(every[-1], timeout=share, **options))


def _watched(connection: asyncpg.Connection) -> asyncpg.Connection:
    line = connection._transport.get_extra_info("socket")  # noqa: SLF001 - the library shows it nowhere else
    if line is not None and line.family in {socket.AF_INET, socket.AF_INET6}:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _WATCHED.items():
            if (option := getattr(socket, name, None)) is not None:  # not every system has them all
                line.setsockopt(socket.IPPROTO_TCP, option, value)
    return connection


def one_by_one(dsn: str) -> list[str]:
    """The address of each server alone, in their order: of `one:5432,two:5433`, or of `host=one,two&port=5432,5433`."""
    every = each_server(dsn)
    parts = urlsplit(every[0])
    if parts.netloc.rpartition("@")[2]:
        return every
    query = parse_qsl(parts.query, keep_blank_values=True)
    told = dict(query)
    named, ports = told.get("host", "").split(","), told.get("port", "").split(",")
    if len(ports) == 1:
        ports *= len(named)
    if len(named) < 2 or len(named) != len(ports):
        return [dsn]
    return [
        urlunsplit(parts._replace(query=_query({**told, "host": host, "port": port})))
        for host, port in zip(named, ports, strict=True)
    ]


def _query(values: dict[str, str]) -> str:
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in values.items() if value)
