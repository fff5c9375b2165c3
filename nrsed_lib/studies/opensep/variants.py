"""What notebook 11 trains, as a table of data: a method, the texts it is asked with, how it learns, which classes.

A variant is called `<row>-<scope>`: a row of a table of the source, trained on all classes or on half of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nrsed_lib.data.vocabulary import query_text
from nrsed_lib.llm.records import PROJECT
from nrsed_lib.profile import Profile
from nrsed_lib.studies.settings import studies_of
from nrsed_lib.studies.texts.captions import recorded_by, texts_of
from nrsed_lib.studies.texts.questions import KNOWLEDGE

METHODS = {  # as the source calls them, in the order of its Tables 1 and 2
    "pit": "PIT",
    "mixit": "MixIT",
    "mixpit": "MixPIT",
    "mixit_pit": "MixIT + PIT",
    "clipsep": "CLIPSep",
    "weaksup": "WeakSup",
    "lassnet": "LASSNet",
    "audiosep": "AudioSep",
    "opensep": "OpenSep",
}
SCOPES = ("all", "half")  # classes that are learned from: Table 1, Table 2


@dataclass(frozen=True)
class MethodRecipe:
    """method: a key of METHODS. by: who wrote the knowledge that asks for a sound, shown `shots` examples; None: the
    class text asks. levels: whether pairs of sounds are separated besides single ones."""

    method: str
    by: str | None = None
    shots: int = 5
    levels: bool = False

    def known(self, labels: Sequence[str]) -> dict[str, str]:
        """What its author wrote about the classes; those with nothing usable are left out."""
        texts = {} if self.by is None else texts_of(KNOWLEDGE, labels, self.by, self.shots)
        return {label: text for label, (text,) in texts.items()}

    def prompts(self, labels: Sequence[str]) -> list[str]:
        """The text that asks for each class, in their order: what is known of its sound, or else its name."""
        known = self.known(labels)
        return [known.get(label) or query_text(label) for label in labels]

    def unanswered(self, labels: Sequence[str]) -> list[str]:
        """Classes about which the author gave no usable sentence."""
        return [] if self.by is None else sorted(set(labels) - set(self.known(labels)))


def recorded_models() -> dict[str, list[int]]:
    """Models whose knowledge of sounds is recorded, and with which numbers of shots."""
    return {by: shots for by, shots in recorded_by(KNOWLEDGE).items() if by != PROJECT}


def recipes(profile: Profile) -> dict[str, MethodRecipe]:
    """Row -> recipe. Rows about a model are there when its answers are recorded."""
    found = {method: MethodRecipe(method) for method in METHODS if method != "opensep"}
    found["opensep"] = MethodRecipe("opensep", PROJECT, levels=True)
    found["opensep_classes"] = MethodRecipe("opensep")  # Table 4: without knowledge and without levels
    found["opensep_classes_levels"] = MethodRecipe("opensep", levels=True)
    found["opensep_knowledge"] = MethodRecipe("opensep", PROJECT)
    for model, recorded in recorded_models().items():
        for shots in recorded:
            if shots in studies_of(profile).opensep.shots:  # Tables 5 and 6
                found[f"opensep_{slug(model)}_{shots}"] = MethodRecipe("opensep", model, shots, levels=True)
            elif shots == 0:  # Table 4: knowledge without examples
                found[f"opensep_{slug(model)}_0"] = MethodRecipe("opensep", model, 0)
    return found


def slug(model: str) -> str:
    """A model's name for files: "HuggingFaceTB/SmolLM2-360M-Instruct" -> "SmolLM2_360M_Instruct"."""
    return "".join(c if c.isalnum() else "_" for c in model.rpartition("/")[2])


def variants(profile: Profile) -> list[str]:
    """Every row, learned from all classes and from half of them."""
    return [f"{row}-{scope}" for row in recipes(profile) for scope in SCOPES]


def recipe_of(variant: str, profile: Profile) -> tuple[str, MethodRecipe, str]:
    """Row, recipe and scope of a variant."""
    row, _, scope = variant.rpartition("-")
    return row, recipes(profile)[row], scope
