"""Who may call, in which role and for which studios."""

from __future__ import annotations

from typing import Any

import msgspec

from control_center.store.db import Connection

EVERY_STUDIO = "*"
ROLES = ("viewer", "front_desk", "author", "owner")  # each may what those before it may


class User(msgspec.Struct, frozen=True):
    """A user of contract part 5. `studios` holds `*` for every studio."""

    id: str
    name: str
    email: str | None
    role: str
    studios: list[str]
    active: bool
    signature: str | None = None

    @property
    def number(self) -> int:
        return int(self.id)

    @property
    def everywhere(self) -> bool:
        return EVERY_STUDIO in self.studios

    def may(self, role: str) -> bool:
        """Whether this user's role is that one or a higher one."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def sees(self, studio: str) -> bool:
        return self.everywhere or studio in self.studios


_COLUMNS = "user_id, name, email, role, studios, active, signature"

EVERY = f"SELECT {_COLUMNS} FROM users ORDER BY name"


async def every(tx: Connection) -> list[User]:
    return [_user(row) for row in await tx.fetch(EVERY)]


BY_NAME = f"SELECT {_COLUMNS} FROM users WHERE name = $1"


async def by_name(tx: Connection, name: str) -> User | None:
    row = await tx.fetchrow(BY_NAME, name)
    return row and _user(row)


BY_ID = f"SELECT {_COLUMNS} FROM users WHERE user_id = $1"


async def by_id(tx: Connection, user_id: int) -> User | None:
    row = await tx.fetchrow(BY_ID, user_id)
    return row and _user(row)


WRITES_AS = "SELECT coalesce(signature, name) FROM users WHERE name = $1"


async def writes_as(tx: Connection, name: str) -> dict[str, str]:
    """The name and the signature of whoever writes; of a name that is no user's it is the name."""
    return {"name": name, "signature": await tx.fetchval(WRITES_AS, name) or name}


# One change of users at a time: whether somebody is left who may do everything is a question about all of them.
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('users', 0))"


async def lock(tx: Connection) -> None:
    await tx.execute(LOCK)


ADD = """
INSERT INTO users (name, email, role, studios, active, signature) VALUES ($1, $2, $3, $4, $5, $6) RETURNING user_id"""


async def add(tx: Connection, user: User) -> User:
    """Returns the user with its new id."""
    made: int = await tx.fetchval(ADD, *_values(user))
    return msgspec.structs.replace(user, id=str(made))


CHANGE = """
UPDATE users SET name = $2, email = $3, role = $4, studios = $5, active = $6, signature = $7 WHERE user_id = $1"""


async def change(tx: Connection, user: User) -> None:
    await tx.execute(CHANGE, user.number, *_values(user))


def _values(user: User) -> tuple[Any, ...]:
    return user.name, user.email, user.role, user.studios, user.active, user.signature


DROP = "DELETE FROM users WHERE user_id = $1"


async def drop(tx: Connection, user_id: int) -> None:
    """The user's tokens go with it."""
    await tx.execute(DROP, user_id)


MASTERS = "SELECT count(*) FROM users WHERE active AND role = 'owner' AND '*' = ANY (studios)"


async def masters(tx: Connection) -> int:
    """How many active owners of every studio there are."""
    count: int = await tx.fetchval(MASTERS)
    return count


FORGET_STUDIO = "UPDATE users SET studios = array_remove(studios, $1) WHERE $1 = ANY (studios)"


async def forget_studio(tx: Connection, studio: str) -> None:
    """A studio is gone; one made under its id later is another one."""
    await tx.execute(FORGET_STUDIO, studio)


def _user(row: Any) -> User:
    user_id, name, email, role, studios, active, signature = row
    return User(str(user_id), name, email, role, list(studios), active, signature)
