"""The work of every peer's job: one POST of 1 KiB over a kept connection of the thread's own."""

from __future__ import annotations

import http.client
import os
import threading
from urllib.parse import urlsplit

BODY = "x" * 1024
_local = threading.local()


def post(body: str) -> None:
    connection = getattr(_local, "connection", None)
    if connection is None:
        connection = _local.connection = http.client.HTTPConnection(urlsplit(os.environ["PEER_URL"]).netloc)
    connection.request("POST", "/", body.encode())
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 201, answer.status
