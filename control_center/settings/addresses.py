"""The addresses of servers: whether one can be read, whether it is guarded on its way, and the secrets inside of it.

A password with a sign that means something in an address cuts it in two, and whoever reads it next shows one of the
halves in a complaint, or asks the name servers for it. So that is found here, before anybody reads it.
"""

from __future__ import annotations

import os
import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit, urlunsplit

from control_center.domain.server_list import each_server

ESCAPES: Final = "in a password write / as %2F, ? as %3F, # as %23, @ as %40"
GUARDED: Final = (
    "allowed: for a database on another machine sslmode=verify-full (and sslrootcert=FILE), or sslmode=disable where "
    "the network itself is guarded"
)
CHECKED: Final = "allowed: amqps:// that checks whom it speaks to (cafile=FILE), without no_verify_ssl"
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.%a-z]+\]|[^\s:\[\]@/]*)(?::\d{1,5})?")
_SECRET: Final = frozenset({"password", "sslpassword"})  # what a query may say besides


def refuse_unreadable(url: str, allowed: str) -> None:
    """Raise ValueError where it cannot be told what is the password and what the host."""
    try:
        shared, hosts = parts(url), _hosts(url)
    except ValueError:
        raise ValueError(f"allowed: {allowed}; {ESCAPES}") from None
    user = shared.netloc.rpartition("@")[0]
    of_the_web = shared.scheme in {"http", "https"}  # where @ may stand in a path
    cut = (not of_the_web and "@" in shared.path) or shared.fragment or ("@" in shared.query and not user)
    if cut or "@" in user or not all(_HOST.fullmatch(host) for host in hosts):
        raise ValueError(f"allowed: {allowed}; {ESCAPES}")


def refuse_unguarded(url: str) -> None:
    """Raise ValueError for a database on another machine whose certificate would not be checked, though it seems so.

    What is `prefer`, which is what is meant where nothing is said, speaks without encryption to whoever wants that.
    """
    if all(is_here(host) for host in _database_hosts(url)):
        return
    mode = _last(url, "sslmode") or os.environ.get("PGSSLMODE") or "prefer"
    if mode.replace("-", "_") not in {"verify_full", "disable"}:
        raise ValueError(f"{GUARDED}; this one is sslmode={mode}")


def refuse_unchecked(url: str) -> None:
    """Raise ValueError for a broker whose certificate is not to be looked at."""
    query = parse_qsl(parts(url).query, keep_blank_values=True)
    # Whatever is said but 0 means no check to the library, nothing at all included, and of several the first counts.
    if any(value != "0" for name, value in query if name == "no_verify_ssl"):
        raise ValueError(CHECKED)


def in_clear(url: str) -> bool:
    """Whether what is said to a server on another machine can be read on its way."""
    shared = parts(url)
    if shared.scheme in {"postgresql", "postgres"}:
        return _last(url, "sslmode") == "disable" and not all(is_here(host) for host in _database_hosts(url))
    if shared.scheme == "smtp":
        return _last(url, "tls") == "none" and not is_here(shared.hostname or "")
    if shared.scheme == "amqp":
        return not all(is_here(host) for host in _without_ports(_hosts(url)))
    return shared.scheme in {"http", "smpp"} and not is_here(shared.hostname or "")


def is_here(host: str) -> bool:
    """Whether this is a socket or a loopback address of this machine."""
    name = unquote(host).strip("[]")
    if not name or name.startswith(("/", "@")) or name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def secrets_in(url: str) -> set[str]:
    """The passwords inside of an address, as they stand there and as they are meant."""
    try:
        shared = parts(url)
    except ValueError:
        return set()
    told = shared.netloc.rpartition("@")[0].partition(":")[2]
    return {told, unquote(told)} | {value for name, value in parse_qsl(shared.query) if name in _SECRET}


def masked(url: str) -> str:
    """The address without its passwords, for people to see."""
    shared = parts(url)
    user, at, _ = shared.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    query = re.sub(rf"(?<![^&])({'|'.join(_SECRET)})=[^&]*", r"\1=***", shared.query)
    netloc = f"{name}{':***' if colon else ''}{at}{','.join(_hosts(url))}"
    return urlunsplit(shared._replace(netloc=netloc, query=query))


def parts(url: str) -> SplitResult:
    """An address with the first of its servers. Raises ValueError where it is none."""
    return urlsplit(each_server(url)[0])


def _hosts(url: str) -> list[str]:
    """Every host that it names, with its port."""
    return [urlsplit(one).netloc.rpartition("@")[2] for one in each_server(url)]


def _database_hosts(url: str) -> list[str]:
    """Every host that may be asked, as libpq reads an address; "?" where a file of services says it."""
    if _last(url, "service") or os.environ.get("PGSERVICE"):
        return ["?"]
    if any(named := _hosts(url)):
        return _without_ports(named)
    return _without_ports((_last(url, "host") or os.environ.get("PGHOST") or "").split(","))


def _without_ports(hosts: list[str]) -> list[str]:
    return [re.sub(r"(?<=[^:]):\d+\Z|(?<=\]):\d+\Z", "", host) for host in hosts]


def _last(url: str, name: str) -> str | None:
    return dict(parse_qsl(parts(url).query)).get(name)
