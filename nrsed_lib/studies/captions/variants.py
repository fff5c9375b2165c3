"""What notebook 10 trains: the same separator, with captions added by one prompt or another, few or many."""

from __future__ import annotations

from nrsed_lib.profile import Profile
from nrsed_lib.studies.settings import studies_of

PLAIN, MIXED = "original", "mixed"  # no captions added; those of all prompts in turn


def variants(profile: Profile) -> list[str]:
    """`original`, `<prompt>-<n>` for every prompt at one number, `mixed-<n>` for every number of added captions."""
    study = studies_of(profile).captions
    by_prompt = [f"{prompt}-{study.compared_at}" for prompt in study.prompts]
    return [PLAIN, *by_prompt, *(f"{MIXED}-{n}" for n in study.numbers if n)]
