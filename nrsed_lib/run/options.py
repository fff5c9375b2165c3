"""What the commands have in common: the profile they are about, and settings given as key=value."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from nrsed_lib.errors import ProfileError
from nrsed_lib.profile import Profile, load_profile

ProfileOption = Annotated[str, typer.Option("--profile", "-p", help="mini, open, paper, smoke, or a YAML file")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="key=value, the value in JSON or plain text, e.g. seed=3; may be repeated"),
]
OptionOption = Annotated[
    list[str] | None, typer.Option("--option", help="sent with each request, e.g. temperature=0; may be repeated")
]
AgainOption = Annotated[bool, typer.Option("--again", help="ask again what was never answered before")]


def absolute(profile: str) -> str:
    """Notebooks run in their own folder, so a YAML file is named by its whole path."""
    return str(Path(profile).resolve()) if profile.endswith((".yaml", ".yml")) else profile


def chosen(profile: str, settings: list[str] | None) -> Profile:
    return load_profile(absolute(profile), pairs(settings))


def live(profile: str, settings: list[str] | None, model: str) -> Profile:
    """A profile that asks a live model."""
    return chosen(profile, [*(settings or []), "llm.mode=live", f"llm.model={json.dumps(model)}"])


def words(profile: str, overrides: dict[str, Any]) -> list[str]:
    """The options of a command that say a profile and its settings again, value for value."""
    return ["--profile", profile, *(f"--set={key}={json.dumps(value)}" for key, value in overrides.items())]


def pairs(given: list[str] | None, flag: str = "--set") -> dict[str, Any]:
    """key=value, as they were given with a flag. Raises ProfileError naming what is not of that form."""
    found: dict[str, Any] = {}
    for text in given or []:
        key, equals, value = text.partition("=")
        if not (equals and key.strip()):
            raise ProfileError(f"{flag} {text[:80]!r}: write key=value, e.g. {flag} seed=3")
        if key in found:
            raise ProfileError(f"{flag} {text[:80]!r}: {key} was given before; leave one out")
        try:
            found[key] = plain(value)
            json.dumps(found, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ProfileError(f"{flag} {text[:80]!r}: this is not UTF-8; write it so") from None
        except ValueError:
            raise ProfileError(f"{flag} {text[:80]!r}: this is no JSON; e.g. {flag} seeds='[0, 1]'") from None
    return found


def plain(text: str) -> Any:
    """The value that a text is: in JSON; else a number, a truth or a list as YAML writes them; else the text itself.

    Raises ValueError of what begins as a list or a mapping and is none.
    """
    text = text.strip()
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError(text) from None
    except ValueError:
        pass
    of_several = text.startswith(("[", "{"))
    try:
        if (of_several and "&" not in text) or re.fullmatch(r"[\w.+~-]*|'.*'", text):  # & may stand for any size
            value = yaml.safe_load(text)
            json.dumps(value)  # all but dates
            return value
    except (yaml.YAMLError, TypeError, ValueError):
        pass
    if of_several:
        raise ValueError(text)
    return text
