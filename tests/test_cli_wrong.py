"""What is typed wrong is told in one line that says which, instead of being answered with nothing or a guess."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from control_center.cli import emitting, studios, templates
from control_center.cli.aim import Aim
from control_center.daemon.place import Endpoints
from control_center.domain.errors import ConfigurationError, Malformed
from control_center.settings import Settings, sources
from tests.support.fixtures import Install
from tests.support.installation import Installation


@pytest.fixture
async def here(install_alone: Install) -> Installation:
    return await install_alone()


async def refused(here: Installation, *words: str) -> str:
    """The one line with which a command fails."""
    done = await here.cli(*words)
    assert (done.code, len(done.err.strip().splitlines())) == (1, 1), (words, done.out, done.err)
    return done.err.strip()


@pytest.mark.parametrize(
    "words",
    [
        ("triggers", "list"),
        ("templates", "list"),
        ("blackouts", "list"),
        ("commands", "list"),
        ("explain", "m-1"),
    ],
    ids=" ".join,
)
async def test_a_studio_that_is_none_is_told_and_has_no_empty_list(here: Installation, words: tuple[str, ...]) -> None:
    assert "there is no studio 'nope'; there are: main" in await refused(here, *words, "--studio", "nope")
    assert "there is no studio 'nope'; there are: main" in await refused(here, *words, "--set", "studio=nope")


async def test_where_there_is_no_studio_at_all_it_is_told_how_to_make_one(here: Installation) -> None:
    await here.done("studios", "remove", "main")
    said = await refused(here, "triggers", "list")
    assert said.endswith("there is no studio 'main'; there is none at all yet: run makes the first one, or studios put")


async def test_before_the_first_start_it_is_no_failure_that_there_is_no_studio(install_alone: Install) -> None:
    """As docs/how-to/install.md has it: migrate, check, start."""
    bare = await install_alone(furnished=False)
    await bare.done("migrate")
    [found] = [one for one in (await bare.json("check"))["checks"] if one["name"] == "studio"]
    assert (found["ok"], found["says"]) == (True, "none yet: the first `run` makes 'main'")


async def test_a_verb_that_is_about_no_studio_works_whatever_the_settings_name(here: Installation) -> None:
    for words in (("studios", "list"), ("users", "list"), ("events", "dead"), ("fence", "show")):
        await here.done(*words, "--set", "studio=nope")


async def test_a_filter_that_nothing_can_pass_is_refused(here: Installation) -> None:
    assert "channel: 'fax'; allowed: sms, email" in await refused(here, "messages", "list", "--channel", "fax")
    assert "record: '4711'; write the kind and the id" in await refused(here, "events", "list", "--record", "4711")


async def test_an_empty_list_that_was_narrowed_does_not_say_that_there_is_nothing_at_all(here: Installation) -> None:
    events = await here.cli("events", "list", "--record", "session/4711")
    audit = await here.cli("audit", "--resource", "trigger")

    assert events.out.strip() == "no event has come in about session/4711"
    assert audit.out.startswith("no such change; resources are named as in trigger/12")


async def test_a_day_that_is_none_is_told_in_words(here: Installation) -> None:
    assert "day: 'nope'; a day such as 2027-06-12 is needed" in await refused(here, "messages", "overspend", "nope")


async def test_a_blackout_day_has_a_name(here: Installation) -> None:
    assert "name: is empty" in await refused(here, "blackouts", "add", " ", "--date", "2027-01-01")


async def test_a_file_that_cannot_be_is_not_blamed_on_the_database(here: Installation) -> None:
    nowhere = here.write("a-file", "") / "triggers"
    said = await refused(here, "triggers", "export", "--to", str(nowhere))

    assert str(nowhere) in said
    assert "PostgreSQL" not in said


async def test_a_file_that_is_none_is_not_taken_for_a_name(here: Installation) -> None:
    for words in (("triggers", "backtest"), ("templates", "preview")):
        assert "draft.toml: there is no such file" in await refused(here, *words, "./draft.toml")
    assert (await refused(here, "studios", "put", "draft.toml")).endswith(
        "draft.toml cannot be read: No such file or directory"
    )


async def test_the_file_with_the_wrong_template_is_named(here: Installation) -> None:
    wrong = here.write("spring.toml", 'kind = "session"\n')

    assert "spring.toml, " in await refused(here, "templates", "apply", str(wrong))


async def test_a_setting_that_is_none_cannot_be_set(here: Installation) -> None:
    said = await refused(here, "triggers", "list", "--set", "time_zone=UTC")

    assert said.endswith("--set time_zone: is not a setting; did you mean timezone?")


def test_the_broker_that_is_named_comes_before_the_one_that_something_here_uses(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    running = Endpoints("", "", "", "amqp://service@one/", 1)
    monkeypatch.setattr(Aim, "endpoints", lambda *_: running)

    def broker(url: str) -> str:
        return emitting.broker_of(Aim(), Settings(data_dir=tmp_path, broker_url=SecretStr(url)))

    assert broker("amqp://admin@one/") == "amqp://admin@one/"
    assert broker("") == "amqp://service@one/"
    assert not broker("none")


@pytest.mark.parametrize("content", ["a = ", "a = 1" + 5000 * "0", "a = " + 5000 * "["], ids=["cut", "digits", "depth"])
@pytest.mark.parametrize("read", [studios.read_file, lambda file: templates.read_files([file]), sources.table])
def test_a_file_that_is_not_toml_is_named(tmp_path: Path, read: Callable[[Path], object], content: str) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(content)

    with pytest.raises((ConfigurationError, Malformed), match=r"wrong\.toml: "):
        read(file)
