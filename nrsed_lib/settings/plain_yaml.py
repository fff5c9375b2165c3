"""YAML as a person means it: plain values, each key once, in a file of a sensible size.

Nothing is expanded (aliases), nothing is constructed (tags), and 1e-3 is a number, which YAML 1.1 takes for text.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from nrsed_lib.errors import ProfileError

MAX_BYTES, MAX_DEPTH = 250_000, 30


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # ten times as fast where it is
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        for key in keys - Counter(set(keys)):
            raise yaml.constructor.ConstructorError(None, None, f"{key!r} is there twice: keep one", node.start_mark)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


@functools.lru_cache(maxsize=8)
def parse(text: str) -> Any:
    """The one value that a text holds, not to be written to. Raises ValueError saying in which line it is not plain."""
    try:
        depth = 0
        for event in yaml.parse(text, Loader=_Loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent):
                raise ValueError(f"*{event.anchor} stands for another place: write values out")
            if depth > MAX_DEPTH:
                raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ValueError(f"line {mark.line + 1 if mark else '?'}: {error.problem or error.context}") from None
    except yaml.YAMLError as error:  # a character that no YAML may have
        raise ValueError(" ".join(str(error).split())) from None


def read(path: Path) -> Any:
    """What a file holds, not to be written to. Raises ProfileError naming it, and what is to be done."""
    try:
        if path.exists() and not path.is_file():  # a pipe would wait for ever
            raise ValueError("it is no file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
        return parse(content.decode("utf-8-sig"))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ProfileError(
            f"{str(path)!r} cannot be read as YAML in UTF-8 ({why}); correct it or name another file"
        ) from None


@functools.cache
def table(path: Path) -> Any:
    """What a committed table of this project holds, aliases and all; not to be written to."""
    return yaml.load(path.read_text(), Loader=_Loader)
