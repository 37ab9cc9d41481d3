"""Whether other servers will believe the address that a studio's mail is from."""

from __future__ import annotations

from typing import Final

# Providers of mailboxes for anybody, by the names that their addresses end in. Each says in DNS (DMARC) that mail from
# its addresses which did not come through it is forged.
_PROVIDERS: Final = (
    ("gmail.com", "googlemail.com"),
    ("yahoo.com", "ymail.com", "rocketmail.com", "yahoo.co.uk", "yahoo.ca", "yahoo.fr", "yahoo.de", "yahoo.es"),
    ("aol.com", "aim.com"),
    ("outlook.com", "hotmail.com", "live.com", "msn.com", "hotmail.co.uk", "hotmail.fr", "office365.com"),
    ("icloud.com", "me.com", "mac.com"),
    ("gmx.com", "gmx.net", "gmx.de", "web.de"),
    ("proton.me", "protonmail.com", "protonmail.ch"),
    ("comcast.net", "xfinity.com"),
    ("zoho.com", "zohomail.com"),
    ("mail.com",),
    ("yandex.com", "yandex.ru"),
    ("free.fr",),
    ("orange.fr", "wanadoo.fr"),
)


def borrowed(sender: str, relay: str) -> str | None:
    """The domain of a sender's address, where it is that of free mailboxes and the relay (a host) is another's."""
    domain, host = sender.rpartition("@")[2].lower(), relay.lower()
    provider = next((names for names in _PROVIDERS if domain in names), None)
    if provider is None or any(host == name or host.endswith(f".{name}") for name in provider):
        return None
    return domain
