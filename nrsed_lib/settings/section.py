"""What a section of settings is, and how its faults are said: a line each, with the key, the value and what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from nrsed_lib.settings.kinds import short

Check = tuple[Any, str, str, str]  # whether it is wrong; the key of the setting; what it is; what to do


class Section(BaseModel):
    """Settings are frozen and of their type: an unknown key is an error, as is 1 for true or "1" for a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    def checks(self) -> Iterator[Check]:
        """Of its settings together; keys are its own."""
        yield from ()


WORDS = {  # pydantic's kinds of errors: what is wrong, and what to do
    "missing": "is missing; add it",
    "extra_forbidden": "is no setting; remove it",
    "int_type": "is no whole number; write one without quotes, e.g. 8",
    "float_type": "is no number; write one without quotes, e.g. 0.5",
    "finite_number": "is not finite; write a number",
    "bool_type": "is neither true nor false; write one of them",
    "string_type": "is no text; write it in quotes",
    "list_type": "is no list; write [a, b, …]",
    "tuple_type": "is no list; write [a, b]",
    "model_type": "is no section; write its keys below it",
    "greater_than": "is too low; give more than {gt}",
    "greater_than_equal": "is too low; give {ge} or more",
    "less_than": "is too high; give less than {lt}",
    "less_than_equal": "is too high; give {le} or less",
    "multiple_of": "is no multiple of {multiple_of}; give one",
    "literal_error": "is unknown; write {expected}",
    "too_short": "has too few entries; give {min_length} or more",
    "too_long": "has too many entries; give {max_length} or fewer",
    "value_error": "{error}",
}


def wrong(error: ValidationError, form: type[Section]) -> Iterator[str]:
    """A line for each value that is not of its type."""
    for fault in error.errors(include_url=False):
        kind, key = fault["type"], ".".join(map(str, fault["loc"]))
        words = WORDS[kind].format(**fault.get("ctx", {})) if kind in WORDS else f"{fault['msg']}; correct it"
        what, _, remedy = words.rpartition("; ")
        if kind == "extra_forbidden" and (like := _like(key, form)):
            remedy = f"did you mean {' or '.join(like)}?"
        yield line(key, what, remedy, *([] if kind == "missing" else [fault["input"]]))


def line(key: str, what: str, remedy: str, *value: Any) -> str:
    shown = key if key.isprintable() and len(key) <= 80 else short(key)
    return f"  {shown}: {what}" + "".join(f" (got {short(v)})" for v in value) + f"; {remedy}"


def sections(section: Section, at: str = "") -> Iterator[tuple[str, Section]]:
    """A section and those in it, each with how its keys begin."""
    yield at, section
    for name in type(section).model_fields:
        if isinstance(inner := getattr(section, name), Section):
            yield from sections(inner, f"{at}{name}.")


def _like(key: str, form: type[Section]) -> list[str]:
    """The settings that may have been meant."""
    known = list(_keys(form))
    ends = [other for other in known if other.rpartition(".")[2] == key.rpartition(".")[2]]
    return ends[:3] or difflib.get_close_matches(re.sub(r"\.\d+", "", key), known, 1)


def _keys(form: type[BaseModel], at: str = "") -> Iterator[str]:
    for name, field in form.model_fields.items():
        yield f"{at}{name}"
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, Section):
                yield from _keys(part, f"{at}{name}.")
