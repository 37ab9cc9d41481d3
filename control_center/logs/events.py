"""Every event that a log line may name, with its meaning. Names are stable: alarms and searches hang on them."""

from __future__ import annotations

from typing import Final

EVENTS: Final[dict[str, str]] = {}
