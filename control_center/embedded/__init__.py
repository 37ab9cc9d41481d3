"""The private PostgreSQL and RabbitMQ of a machine that has none configured.

Both keep to this machine, keep their data over restarts and kills, and end when the process that started them does.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from control_center.embedded import debian
from control_center.embedded.postgres import Postgres, find_postgres
from control_center.embedded.rabbitmq import Rabbitmq, RabbitmqBinaries, find_rabbitmq

__all__ = ["Postgres", "Rabbitmq", "RabbitmqBinaries", "ensure_rabbitmq", "find_postgres", "find_rabbitmq"]


async def ensure_rabbitmq(progress: Callable[[str], None]) -> RabbitmqBinaries | None:
    """RabbitMQ's programs, fetched from Debian where the machine lacks them; None when they cannot be had.

    For `./run demo` and `./run test` only: a service uses `find_rabbitmq`. With a broker configured nothing is
    ever fetched. `progress` takes one line a step, from another thread.
    """
    found = find_rabbitmq()
    if found or os.environ.get("CONTROL_CENTER_BROKER_URL"):
        return found
    await asyncio.to_thread(debian.fetch, "rabbitmq-server", progress)
    return find_rabbitmq()
