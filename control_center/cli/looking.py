"""Where to look, once everything is up."""

from __future__ import annotations

from control_center.cli.aim import show
from control_center.daemon import place
from control_center.daemon.place import Endpoints
from control_center.settings import Settings, addresses


def look(settings: Settings, endpoints: Endpoints) -> None:
    """Say where to look, once everything is up."""
    lines = {
        "HTTP API": endpoints.http,
        "API token": endpoints.api_token_file if endpoints.http else "",
        "database": addresses.masked(endpoints.database_url),
        "broker": addresses.masked(endpoints.broker_url) or "none: events come over HTTP",
        "sandbox": str(settings.data_dir / place.OUTBOX),
    }
    show(f"control center runs as process {endpoints.pid}; Ctrl-C stops it")
    for name, value in lines.items():
        if value:
            show(f"  {name:<14}{value}")
