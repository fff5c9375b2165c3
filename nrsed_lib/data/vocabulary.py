"""How class names become words."""

from __future__ import annotations


def query_text(name: str) -> str:
    """The text that asks a separator for a class: lower case, spaces.

    >>> query_text("Electric_shaver_toothbrush")
    'electric shaver toothbrush'
    """
    return " ".join(name.replace("_", " ").lower().split())
