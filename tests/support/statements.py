"""Every statement of the store, and the tables that belong to the installation and not to a studio."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Final

from control_center import store

SQL: Final = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b")

# Each with its reason; docs/explanation/scale-out.md shows both.
OF_THE_INSTALLATION: Final = {
    "schema_version": "how far this database is, whoever is in it",
    "dead_events": "bytes that could not be understood name no studio",
    "dead_queue": "the broker's queue of what it set aside: one for all studios",
    "breakers": "an account at a provider, which studios may share",
    "fence": "whether this database may send at all",
    "leases": "duties that one process at a time has, for all studios",
    "users": "a person may be for several studios, and for those to come",
    "tokens": "a call brings its token before it names a studio",
}


def _statements() -> Iterator[tuple[str, str]]:
    """Every capital constant of the store that is SQL; private ones are pieces of others."""
    for found in pkgutil.iter_modules(store.__path__):
        module = importlib.import_module(f"control_center.store.{found.name}")
        for name, value in vars(module).items():
            if re.fullmatch(r"[A-Z][A-Z_]*", name) and isinstance(value, str) and SQL.match(value):
                yield f"{found.name}.{name}", value


ALL: Final = dict(_statements())
