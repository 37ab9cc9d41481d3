"""Celery on RabbitMQ: no results kept, no confirms."""

from __future__ import annotations

import os
import sys

from celery import Celery  # type: ignore[import-not-found] # in the peers' environment only
from posting import BODY, post  # type: ignore[import-not-found] # beside this script

app = Celery("tasks", broker=os.environ["PEER_BROKER"].replace("amqp://", "pyamqp://").partition("?")[0])
app.conf.update(
    task_default_queue="bench_celery",
    task_ignore_result=True,
    worker_prefetch_multiplier=32,
    worker_hijack_root_logger=False,
)
deliver = app.task(post, name="deliver")


if __name__ == "__main__" and sys.argv[1] == "fill":
    with app.producer_pool.acquire() as producer:
        for _ in range(int(os.environ["PEER_COUNT"])):
            deliver.apply_async((BODY,), producer=producer)
