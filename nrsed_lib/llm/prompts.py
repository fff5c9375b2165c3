"""What the LLM is asked: the paper's prompt (section II-B), word for word, once per label set."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence

# Verbatim, but that the label set takes the place of "a1, ..., aK'".
PROMPT = (
    "This is an audio clip recorded in a household environment. "
    "The following events present this clip: {events}. "
    "Please help me select the event classes in Uγ that may occur in the audio clip. "
    "Further, apply filtering to ensure that the selected classes do not have any classes similar to those "
    "already present in the audio clip."
)

# "We first input event classes in Uγ to the LLM": one a line, since names have commas in them.
VOCABULARY = "Uγ, the event classes to select from, one a line:\n{classes}"

# Not in the paper: how to write the answer, for endpoints that do not enforce the JSON schema.
FORMAT = 'Answer with JSON only: {"noise_classes": [...]}, each class spelled exactly as in Uγ.'

REPAIR = "This answer cannot be used: {reason}. Please answer the same question again, without this fault."

Message = dict[str, str]  # role, content


def messages(label_set: Collection[str], vocabulary: Sequence[str]) -> list[Message]:
    """The conversation that asks for the noise of clips in which `label_set` is heard.

    The label set is sorted and written as DESED spells it, with spaces for underscores, so that one
    set has one prompt. Raises ValueError for an empty label set (nothing is known of such a clip).
    """
    if not label_set:
        raise ValueError("an empty label set has no prompt; ask only for clips with labels")
    events = ", ".join(label.replace("_", " ") for label in sorted(label_set))
    return [
        {"role": "system", "content": FORMAT},
        {"role": "user", "content": VOCABULARY.format(classes="\n".join(vocabulary))},
        {"role": "user", "content": PROMPT.format(events=events)},
    ]


def prompt_hash(conversation: Sequence[Message]) -> str:
    """What an answer is filed under: 16 hex digits of the SHA-256 of the conversation."""
    return hashlib.sha256(json.dumps(list(conversation), ensure_ascii=False).encode()).hexdigest()[:16]
