"""Users and their tokens. Whoever asks (`of`) manages the users of their own studios; None is the machine's own admin.

A user whose studios are not all those of the asker does not exist for them, and nobody gives away what they have not.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence

import msgspec
import structlog

from control_center.domain import number
from control_center.domain.errors import Malformed, NotFound, Refused
from control_center.engine.editions import check_edition
from control_center.store import audit, db, studios, tokens, users
from control_center.store.tokens import Token
from control_center.store.users import EVERY_STUDIO, ROLES, User

log = structlog.get_logger(__name__)

FIRST = "first"  # holds the token of the settings
SETTINGS = "the settings"
LONGEST_SIGNATURE = 200  # characters: it ends texts, too


async def visible(pool: db.Pool, of: User | None) -> list[User]:
    """Every user that `of` manages, by name."""
    async with db.session(pool) as connection:
        return [one for one in await users.every(connection) if _manages(of, one)]


async def get(pool: db.Pool, user_id: int, of: User | None) -> User:
    """Raises NotFound."""
    async with db.session(pool) as connection:
        return _found(await users.by_id(connection, user_id), of, str(user_id))


async def named(pool: db.Pool, name: str) -> User:
    """Raises NotFound."""
    async with db.session(pool) as connection:
        return _found(await users.by_name(connection, name), None, name)


async def add(pool: db.Pool, wanted: User, *, by: str, of: User | None = None) -> User:
    """Make a user, who has no token yet. Raises Malformed naming the field, Refused where the name is taken."""
    async with db.transaction(pool) as tx:
        await users.lock(tx)
        made = await users.add(tx, await _checked(tx, wanted, of))
        await _write(tx, by, "create", None, made)
    log.info("user.created", user=made.name, role=made.role, by=by)
    return made


async def change(
    pool: db.Pool, wanted: User, *, by: str, of: User | None = None, read: Collection[str] | None = None
) -> User:
    """Replace what a user is, at once for the tokens they hold. Raises Malformed, NotFound, Refused.

    `read` are the editions from which it was written: Outdated where the user is something else by now.
    """
    async with db.transaction(pool) as tx:
        await users.lock(tx)
        before = _found(await users.by_id(tx, wanted.number), of, wanted.id)
        check_edition(before, read, f"user {before.name!r}")
        if before.name == FIRST and wanted.name != FIRST:
            raise Refused(f"the user {FIRST!r} holds the token of the settings, and keeps the name")
        checked = await _checked(tx, wanted, of)
        if (before.role, before.studios, before.active) != (checked.role, checked.studios, checked.active):
            _check_not_oneself(before, of)
        await users.change(tx, checked)
        await _check_not_the_last(tx, before)
        await _write(tx, by, "change", before, checked)
    log.info("user.changed", user=checked.name, role=checked.role, active=checked.active, by=by)
    return checked


async def drop(
    pool: db.Pool, user_id: int, *, by: str, of: User | None = None, read: Collection[str] | None = None
) -> None:
    """Delete a user with all tokens. Raises NotFound, Refused for the one of the settings, who would come back.

    And Outdated where the user is something else than in the editions `read`.
    """
    async with db.transaction(pool) as tx:
        await users.lock(tx)
        before = _found(await users.by_id(tx, user_id), of, str(user_id))
        check_edition(before, read, f"user {before.name!r}")
        if before.name == FIRST:
            raise Refused(f"the user {FIRST!r} holds the token of the settings: deactivate it instead")
        _check_not_oneself(before, of)
        await users.drop(tx, user_id)
        await _check_not_the_last(tx, before)
        await _write(tx, by, "delete", before, None)
    log.info("user.deleted", user=before.name, by=by)


async def issue(pool: db.Pool, name: str, *, by: str) -> str:
    """A new token for a user beside those they have. It is told here and nowhere again. Raises NotFound."""
    token = secrets.token_urlsafe(32)
    async with db.transaction(pool) as tx:
        await users.lock(tx)
        user = _found(await users.by_name(tx, name), None, name)
        await tokens.put(tx, user.number, tokens.digest(token), by=by)
        entries = _of_tokens("issue", user, [tokens.name_of(tokens.digest(token))])
        await audit.write(tx, by, *entries)
    log.info("token.issued", user=name, by=by)
    return token


async def revoke(pool: db.Pool, name: str, token: str | None, *, by: str) -> list[Token]:
    """Let one of a user's tokens, named by its id, or all of them in no more. Raises NotFound."""
    async with db.transaction(pool) as tx:
        await users.lock(tx)
        user = _found(await users.by_name(tx, name), None, name)
        revoked = await tokens.revoke(tx, user.number, token, by=by)
        if token is not None and not revoked:
            raise NotFound(f"{name!r} has no token {token!r} that is in force")
        await audit.write(tx, by, *_of_tokens("revoke", user, [one.id for one in revoked]))
    log.info("token.revoked", user=name, tokens=len(revoked), by=by)
    return revoked


async def admit_first(pool: db.Pool, token: str, *, configured: bool, by: str) -> bool:
    """Let the token of the settings in, as an owner of every studio; returns whether it is in force.

    A configured token is the only one of the settings: what they said before is revoked. Generated ones stand beside
    each other, one for each data folder. What a person revoked or deactivated stays so.
    """
    digest = tokens.digest(token)
    async with db.transaction(pool) as tx:
        await users.lock(tx)
        user = await users.by_name(tx, FIRST)
        if user is None:
            user = await users.add(tx, User("0", FIRST, None, "owner", [EVERY_STUDIO], active=True))
            await _write(tx, by, "create", None, user)
        admitted, is_new = await tokens.admit(tx, user.number, digest, by=by)
        revoked = await tokens.revoke_others(tx, user.number, digest, by=by) if configured else []
        await audit.write(tx, by, *_of_tokens("revoke", user, [one.id for one in revoked]))
        await audit.write(tx, by, *_of_tokens("issue", user, [tokens.name_of(digest)] if is_new else []))
    if not (admitted and user.active):
        log.warning("token.shut_out", user=FIRST, reason="a person revoked it, or deactivated the user")
    return admitted and user.active


def _manages(of: User | None, user: User) -> bool:
    return of is None or of.everywhere or (bool(user.studios) and set(user.studios) <= set(of.studios))


def _found(user: User | None, of: User | None, asked: str) -> User:
    if user is None or not _manages(of, user):
        raise NotFound(f"there is no user {asked[:60]!r}")
    return user


def _check_not_oneself(user: User, of: User | None) -> None:
    """Nobody takes from themself what they would need to undo it."""
    if of is not None and of.id == user.id:
        raise Refused("this is yourself: have another owner do it, or use the command line")


async def _checked(tx: db.Connection, wanted: User, of: User | None) -> User:
    """The user with all fields in order. Raises Malformed, Refused."""
    name, email = wanted.name.strip(), wanted.email
    if not 1 <= len(name) <= 200 or not name.isprintable():
        raise Malformed("name", f"{name[:60]!r}; a name of 1 to 200 printable characters is needed")
    if wanted.role not in ROLES:
        raise Malformed("role", f"{wanted.role[:60]!r}; allowed: {', '.join(ROLES)}")
    if email is not None:
        known = number.email(email)
        if isinstance(known, number.Unusable):
            raise Malformed("email", f"{email[:60]!r}: {known.reason}")
        email = str(known)
    signature = (wanted.signature or "").strip() or None
    if signature is not None and (len(signature) > LONGEST_SIGNATURE or not signature.replace("\n", "").isprintable()):
        raise Malformed("signature", f"{signature[:60]!r}; at most {LONGEST_SIGNATURE} printable characters")
    allowed = await _allowed(tx, wanted.studios, of)
    other = await users.by_name(tx, name)
    if other is not None and other.id != wanted.id:
        raise Refused(f"there is a user {name!r} already")
    return msgspec.structs.replace(wanted, name=name, email=email, studios=allowed, signature=signature)


async def _allowed(tx: db.Connection, wanted: Sequence[str], of: User | None) -> list[str]:
    """Studios that exist for whoever asks, each once; `*` swallows the others."""
    known = await studios.get(tx, wanted)
    for n, studio in enumerate(wanted):
        mine = of is None or of.everywhere or studio in of.studios
        if not mine or (studio != EVERY_STUDIO and studio not in known):
            raise Malformed(f"studios[{n}]", f"there is no studio {studio[:60]!r}")
    if not wanted and of is not None and not of.everywhere:
        raise Malformed("studios", "at least one is needed")  # nobody but the owner of all would ever see this user
    return [EVERY_STUDIO] if EVERY_STUDIO in wanted else sorted(set(wanted))


async def _check_not_the_last(tx: db.Connection, before: User) -> None:
    """Whoever could do everything, and cannot any more, has to leave somebody behind who can."""
    could = before.active and before.everywhere and before.may(ROLES[-1])
    if could and await users.masters(tx) == 0:
        raise Refused("nobody would be left who may do everything: there must be an active owner of every studio")


async def _write(tx: db.Connection, by: str, verb: str, before: User | None, after: User | None) -> None:
    """An entry in each studio concerned, so that its owner can read who may see it, and of no other one."""
    shown = after or before
    assert shown is not None, "there was a user, or there is one"
    concerned = {studio for one in (before, after) if one for studio in one.studios} or {EVERY_STUDIO}
    resource = f"user/{shown.id}"
    entries = [audit.Entry(one, verb, resource, _seen(before, one), _seen(after, one)) for one in sorted(concerned)]
    await audit.write(tx, by, *entries)


def _seen(user: User | None, studio: str) -> User | None:
    """A user as the owner of that studio may see them: whether they are for it, and not which others there are."""
    if user is None or studio == EVERY_STUDIO:
        return user
    return msgspec.structs.replace(user, studios=[one for one in user.studios if one in {studio, EVERY_STUDIO}])


def _of_tokens(verb: str, user: User, names: Sequence[str]) -> list[audit.Entry]:
    """An entry for each token: which, and whose; nothing by which it could be used."""
    told = {"user": user.name}
    return [
        audit.Entry(studio, verb, f"token/{name}", *((None, told) if verb == "issue" else (told, None)))
        for name in names
        for studio in user.studios or [EVERY_STUDIO]
    ]
