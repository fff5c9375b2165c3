"""What the commands have in common: the profile they are about, and settings given as key=value."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from nrsed_lib.errors import ProfileError
from nrsed_lib.profile import Profile, load_profile

ProfileOption = Annotated[str, typer.Option("--profile", "-p", help="mini, open, paper, smoke, or a YAML file")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="key=value, e.g. seed=3 or sed.train.steps=50; may be repeated")
]


def absolute(profile: str) -> str:
    """Notebooks run in their own folder, so a YAML file is named by its whole path."""
    return str(Path(profile).resolve()) if profile.endswith((".yaml", ".yml")) else profile


def chosen(profile: str, settings: list[str] | None) -> Profile:
    return load_profile(absolute(profile), pairs(settings))


def pairs(given: list[str] | None, flag: str = "--set") -> dict[str, Any]:
    """key=value, as they were given with a flag."""
    pairs = {}
    for text in given or []:
        key, equals, value = text.partition("=")
        if not equals:
            raise ProfileError(f"{flag} {text!r}: write key=value, e.g. {flag} seed=3")
        pairs[key] = yaml.safe_load(value)
    return pairs
