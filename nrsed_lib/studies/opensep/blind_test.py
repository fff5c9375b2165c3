"""The blind comparison as widgets: two unnamed separations of a mixture, a choice, the next one."""

from __future__ import annotations

from collections.abc import Sequence

import ipywidgets as widgets
from torch import Tensor

from nrsed_lib.plots.audio import player_widget
from nrsed_lib.studies.opensep.preference import LABELS, Pair, Votes, sides_of

TASK = (
    "Each side tries to take the mixture apart into its sounds. Which one does it better: every sound there, each "
    "alone, and as it sounded in the mixture? The tracks come in no particular order; a side may have too few or too "
    "many."
)


class BlindTest:
    """Pairs for one rater, in one box to show. What has been voted on is not asked again; each vote is kept at once.

    seed: of the sides. Raises ValueError for a rater without a name.
    """

    def __init__(self, pairs: Sequence[Pair], votes: Votes, rater: str, sample_rate: int, seed: int = 0) -> None:
        if not rater.strip():
            raise ValueError("a rater needs a name, to tell votes apart; any name will do")
        self.pairs, self.votes, self.rater, self.sample_rate = pairs, votes, rater, sample_rate
        self.opensep_is = sides_of(len(pairs), rater, seed)
        done = votes.done(rater)
        self.todo = [i for i in range(len(pairs)) if i not in done]
        self.choice = widgets.RadioButtons(options=list(LABELS), value=None)
        self.button = widgets.Button(description="next", disabled=True)
        self.box = widgets.VBox()
        self.choice.observe(self._chosen, "value")
        self.button.on_click(self._vote)
        self._show()

    def _chosen(self, change: dict) -> None:
        self.button.disabled = change["new"] is None

    def _vote(self, _: widgets.Button) -> None:
        if self.choice.value is None:
            return
        pair = self.todo[0]
        self.votes.add(self.rater, pair, self.pairs[pair], self.opensep_is[pair], LABELS[self.choice.value])
        self.todo.pop(0)  # not before it is kept
        self.choice.value = None
        self._show()

    def _show(self) -> None:
        if not self.todo:
            self.box.children = [widgets.Label(f"That was all, {self.rater}: {len(self.pairs)} pairs. Thank you.")]
            return
        pair = self.pairs[self.todo[0]]
        gain = 0.8 / pair.sound.abs().max().clamp(min=1e-9)  # the same for all, so that levels can be compared
        sides = [
            widgets.VBox([widgets.Label(letter), *(self._player(gain * track) for track in tracks)])
            for letter, tracks in pair.sides(self.opensep_is[self.todo[0]]).items()
        ]
        number = len(self.pairs) - len(self.todo) + 1
        head = [
            widgets.HTML(TASK),
            widgets.Label(f"mixture {number} of {len(self.pairs)}"),
            self._player(gain * pair.sound),
        ]
        self.box.children = [*head, widgets.HBox(sides), self.choice, self.button]

    def _player(self, wave: Tensor) -> widgets.Audio:
        return player_widget(wave.clamp(-1, 1), self.sample_rate)
