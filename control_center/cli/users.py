"""`users`: who may call the API, and the tokens they hold."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from control_center.cli.aim import Aim, note, person, show
from control_center.cli.tables import as_json, columns, listed, pairs
from control_center.cli.verbs import group, verb

if TYPE_CHECKING:
    from control_center.store.users import User

Name = Annotated[str, typer.Argument(help="The user's name, as it is listed.")]
Role = Annotated[str, typer.Option(help="viewer, front_desk, author or owner.")]
For = Annotated[
    list[str] | None, typer.Option("--for", metavar="STUDIO", help="For this studio; may be repeated. * is every one.")
]
Email = Annotated[str, typer.Option(help="Where the user is reached.")]
Signature = Annotated[str, typer.Option(help="What {{ sender.signature }} in a template writes; else the name.")]
EVERYWHERE = ("studio",)  # a user is of the installation, and not of one studio


def add_to(app: typer.Typer) -> None:
    noun = group(app, "users", "Who may call the API, in which role and for which studios.")
    verb(noun, "list", example="users list", but=EVERYWHERE)(list_)
    verb(noun, "show", example="users show ada", but=EVERYWHERE)(show_one)
    verb(noun, "add", example="users add ada --role author --for main", but=EVERYWHERE)(add)
    verb(noun, "change", example="users change ada --role front_desk", but=EVERYWHERE)(change)
    verb(noun, "deactivate", example="users deactivate ada", but=EVERYWHERE)(deactivate)
    verb(noun, "token", example="users token ada", but=EVERYWHERE)(token)
    verb(noun, "revoke", example="users revoke ada --token 5f2c9b0a11de", but=EVERYWHERE)(revoke)


async def list_(aim: Aim) -> None:
    """List the users."""
    from control_center.engine import users

    async with aim.database() as here:
        found = await users.visible(here.pool, None)
    listed(found, _row, json=aim.json, none="there are no users yet")


async def show_one(aim: Aim, *, name: Name) -> None:
    """Show one user and the tokens they hold; never the tokens themselves."""
    from control_center.engine import users
    from control_center.store import db, tokens

    async with aim.database() as here, db.session(here.pool) as connection:
        user = await users.named(here.pool, name)
        held = await tokens.of_user(connection, user.number)
    if aim.json:
        as_json({**_fields(user), "tokens": held})
        return
    pairs(_row(user))
    rows = [
        {"token": one.id, "from": one.origin, "made": one.made_at, "by": one.made_by, "revoked": one.revoked_at}
        for one in held
    ]
    columns(rows, none="no token yet; make one with: control-center users token NAME")


async def add(
    aim: Aim,
    *,
    name: Name,
    role: Role,
    studios: For = None,
    email: Email = "",
    signature: Signature = "",
) -> None:
    """Make a user. They may call once there is a token for them."""
    from control_center.engine import users
    from control_center.store.users import User

    async with aim.database() as here:
        known = studios or [here.studio]
        wanted = User("0", name, email or None, role, known, active=True, signature=signature or None)
        made = await users.add(here.pool, wanted, by=person())
    _tell(aim, made, "added")


async def change(
    aim: Aim,
    *,
    name: Name,
    role: Role = "",
    studios: For = None,
    email: Email = "",
    signature: Signature = "",
    to: Annotated[str, typer.Option("--name", metavar="NEW", help="Another name.")] = "",
    activate: Annotated[bool, typer.Option("--activate", help="Let them in again.")] = False,
) -> None:
    """Change what is given of a user, at once for every token they hold."""
    given = {"role": role, "studios": studios, "email": email, "signature": signature, "name": to, "active": activate}
    changes = {field: value for field, value in given.items() if value}
    if not changes:
        raise typer.BadParameter("say what to change, such as --role author")
    await _change(aim, name, changes)


async def deactivate(aim: Aim, *, name: Name) -> None:
    """Let a user in no more; `users change NAME --activate` undoes it."""
    await _change(aim, name, {"active": False})


async def _change(aim: Aim, name: str, changes: dict[str, Any]) -> None:
    import msgspec

    from control_center.engine import users

    async with aim.database() as here:
        user = await users.named(here.pool, name)
        changed = await users.change(here.pool, msgspec.structs.replace(user, **changes), by=person())
    _tell(aim, changed, "changed")


async def token(aim: Aim, *, name: Name) -> None:
    """Make a new token for a user, beside those they have. It is printed here and nowhere again."""
    from control_center.engine import users

    async with aim.database() as here:
        made = await users.issue(here.pool, name, by=person())
    if aim.json:
        as_json({"name": name, "token": made})
        return
    note("keep it now: only its digest is stored, and it cannot be shown again")
    show(made)


async def revoke(
    aim: Aim,
    *,
    name: Name,
    token: Annotated[str, typer.Option(metavar="ID", help="Only this one, as `users show` lists it.")] = "",
) -> None:
    """Let a user's tokens in no more: one of them, or all."""
    from control_center.engine import users

    async with aim.database() as here:
        revoked = await users.revoke(here.pool, name, token or None, by=person())
    if aim.json:
        as_json({"name": name, "revoked": [one.id for one in revoked]})
    else:
        show(f"revoked: {', '.join(one.id for one in revoked) or 'nothing, there was none in force'}")


def _tell(aim: Aim, user: User, done: str) -> None:
    if aim.json:
        as_json(user)
    else:
        show(f"{done}: {user.name}, {user.role} for {', '.join(user.studios) or 'no studio'}")


def _fields(user: User) -> dict[str, Any]:
    import msgspec

    return msgspec.structs.asdict(user)


def _row(user: User) -> dict[str, Any]:
    return {**_fields(user), "studios": ", ".join(user.studios)}
