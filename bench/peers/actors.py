"""dramatiq on RabbitMQ: no confirms."""

from __future__ import annotations

import os
import sys

import dramatiq  # type: ignore[import-not-found] # in the peers' environment only
from dramatiq.brokers.rabbitmq import RabbitmqBroker  # type: ignore[import-not-found]
from posting import BODY, post  # type: ignore[import-not-found] # beside this script

broker = RabbitmqBroker(url=os.environ["PEER_BROKER"].partition("?")[0])
dramatiq.set_broker(broker)
deliver = dramatiq.actor(post, actor_name="deliver", queue_name="bench_dramatiq")


if __name__ == "__main__" and sys.argv[1] == "fill":
    for _ in range(int(os.environ["PEER_COUNT"])):
        deliver.send(BODY)
    broker.close()
