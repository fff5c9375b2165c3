"""Which classes are alike, by a rule that no LLM wrote: the AudioSet ontology.

A noise class is similar to a class that is present when it is, in the ontology,
  the same node or a kind of it      (telephone bell: a kind of alarm),
  one of its parents, up to the top  (domestic animals: what a dog is a kind of),
  a sibling or a kind of a sibling   (baby cry: a kind of crying, which is a human voice as speech is).
Nodes that group sounds by where they are heard, not by how they sound, are headings and relate
nothing: the top nodes, and "Domestic sounds, home sounds", under which vacuum cleaners, zippers and
typing stand side by side; counting its children as siblings would forbid every noise of a kitchen.

`data/vocabulary/classes.csv` (written by hand) says which nodes a class of ours stands for; a class
that is not in it is the node of the same name; one without a node is similar to nothing.
`data/vocabulary/audioset.csv` has the nodes above those, derived from the ontology (CC BY-SA 4.0) by
`python -m tools.ontology`, so that no profile needs a download to be checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property

import pandas as pd
from pydantic import create_model

from nrsed_lib.data.tables import Row, Text, read_rows
from nrsed_lib.errors import DataError, one_line
from nrsed_lib.paths import DATA

TABLE = DATA / "vocabulary" / "audioset.csv"
LABELS = DATA / "vocabulary" / "audioset_527.csv"  # node ids of AudioSet's labels, in the order of a tagger's outputs
CLASSES = DATA / "vocabulary" / "classes.csv"
PLACES = frozenset({"Domestic sounds, home sounds"})


@dataclass(frozen=True)
class Ontology:
    """names: node id -> name. parents: node id -> ids of its parents. nodes: our class -> names of nodes."""

    names: Mapping[str, str]
    parents: Mapping[str, tuple[str, ...]]
    nodes: Mapping[str, tuple[str, ...]]

    @cached_property
    def ids(self) -> dict[str, str]:
        return {name: node for node, name in self.names.items()}

    @cached_property
    def headings(self) -> frozenset[str]:
        return frozenset(n for n, name in self.names.items() if not self.parents[n] or name in PLACES)

    def ids_of(self, label: str) -> set[str]:
        """Nodes that a class stands for; none when the ontology does not have it."""
        names = self.nodes.get(label, (label,) if label in self.ids else ())
        unknown = [name for name in names if name not in self.ids]
        if unknown:
            raise DataError(f"class {label!r} is mapped to {unknown}, not in the AudioSet ontology; correct {CLASSES}")
        return {self.ids[name] for name in names}

    def above(self, node: str) -> set[str]:
        """The node and its ancestors, without headings."""
        seen: set[str] = set()
        todo = {node}
        while todo:
            seen |= todo
            todo = {parent for n in todo for parent in self.parents[n]} - seen
        return seen - self.headings

    def under(self, label: str) -> set[str]:
        """The nodes that a class stands for, and the kinds of them."""
        stands = self.ids_of(label)
        return {node for node in self.names if stands & self.above(node)}

    def similar(self, noise: str, present: str) -> bool:
        """Whether `noise` must not be added to a clip that has `present` (rule above)."""
        for p in self.ids_of(present):
            family = ({p} | set(self.parents[p])) - self.headings  # what siblings and kinds have above them
            for n in self.ids_of(noise):
                if n in self.above(p) or family & self.above(n):
                    return True
        return False


class Node(Row):
    id: Text
    name: Text
    parents: str


# A class of ours, and names of nodes, separated by " | ", or nothing.
Mapped = create_model("Mapped", __base__=Row, **{"class": (Text, ...), "audioset": (str, ...)})  # type: ignore[call-overload]


def build(table: pd.DataFrame) -> Ontology:
    """An ontology from a table of nodes (id, name, parents: ids, joined by spaces), with the mapping of our classes.

    Raises DataError for a row of the mapping that cannot be one, and for a parent that is no node.
    """
    rows = (row.model_dump() for row in read_rows(CLASSES, Mapped, "class"))
    nodes = {row["class"]: tuple(filter(None, row["audioset"].split(" | "))) for row in rows}
    ids, names, lines = (table[column].tolist() for column in ("id", "name", "parents"))
    parents = {node: tuple(line.split()) for node, line in zip(ids, lines, strict=True)}
    if strange := sorted({p for above in parents.values() for p in above} - set(parents)):
        what = f"{len(strange)} parents are no nodes, e.g. {one_line(strange[0])}"
        raise DataError(f"{TABLE}: {what}; make it anew by `python -m tools.ontology`")
    return Ontology(dict(zip(ids, names, strict=True)), parents, nodes)


@cache
def load_ontology() -> Ontology:
    """The part of the ontology that is committed. Raises DataError naming the line of it that is none."""
    return build(pd.DataFrame([row.model_dump() for row in read_rows(TABLE, Node, "id")]))


class Label(Row):
    id: Text


def labels_under(label: str) -> list[int]:
    """Which of AudioSet's 527 labels (by number) are the nodes of a class, or kinds of them."""
    under = load_ontology().under(label)
    return [number for number, row in enumerate(read_rows(LABELS, Label, "id")) if row.id in under]
