"""From mixture to sources: what is parsed, what it is asked with, which tracks come out, which queries."""

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from torch import Tensor

from nrsed_lib.artefacts import Run, run_folder
from nrsed_lib.errors import StoreError
from nrsed_lib.profile import load_profile
from nrsed_lib.store import write_tensors
from nrsed_lib.studies.opensep import chain as opensep_chain
from nrsed_lib.studies.opensep import parsing
from nrsed_lib.studies.opensep.caption_words import Words
from nrsed_lib.studies.opensep.captioner import SmallCaptioner
from nrsed_lib.studies.opensep.chain import Reader, named_classes, reader_of, separate_sources
from nrsed_lib.studies.texts.captions import captions_of
from nrsed_lib.studies.texts.parsing import RuleParser

CAPTIONS = captions_of(["Dog", "Speech", "Rain", "Drill"])


class Told:
    """A captioner that is told what to say: the first sample of a clip is the number of its caption."""

    name = "told"

    def __init__(self, captions: list[str]) -> None:
        self.captions = captions

    def caption(self, waveforms: Tensor) -> list[str]:
        return [self.captions[int(n)] for n in waveforms[:, 0]]


class Scales:
    """A separator that gives back the mixture times the number of letters in its text."""

    def separate(self, mixtures: Tensor, classes: Tensor, texts: list[str]) -> Tensor:
        lengths = torch.tensor([float(len(text)) for text in texts])
        return lengths[classes.cpu()].to(mixtures.device)[:, :, None] * mixtures[:, None]


def reader(captions: list[str]) -> Reader:
    return Reader(Told(captions), RuleParser(CAPTIONS), CAPTIONS)


def waves(nb: int) -> Tensor:
    return torch.arange(float(nb))[:, None] + torch.zeros(nb, 5)


def test_captions_become_sources_and_prompts() -> None:
    said = ["A dog barks while rain falls and then a dog barks.", "A zither is plucked."]
    first, second = reader(said).read(waves(2))
    assert [set(source.classes) for source in first.sources] == [{"Dog"}, {"Rain"}]
    assert [source.prompt for source in first.sources] == [CAPTIONS["Dog"].knowledge, CAPTIONS["Rain"].knowledge]
    assert second.classes == frozenset()
    assert second.sources[0].prompt == second.sources[0].text == "A zither is plucked."
    table = named_classes([first, second], ["Speech", "Dog"])
    assert table.tolist() == [[False, True], [False, False]]
    assert named_classes([], ["Speech"]).shape == (0, 1)


def test_every_caption_that_can_be_said_is_parsed_back() -> None:
    """All pairs of classes of both profiles that are run: no phrase hides another, none is cut in two."""
    for profile in ("mini", "open"):
        data = load_profile(profile).data
        captions = captions_of(data.classes + data.noise_classes)
        words, names = Words.of(captions), list(captions)
        parser = RuleParser(captions)
        lost = []
        for a in range(0, len(names), 3):
            for b in range(1, len(names), 4):
                text = words.text(words.caption([(a, -1.0), (b, -0.5)]))
                sources = [opensep_chain.classes_named(source, captions) for source in parser(text)]
                if a != b and not {names[a], names[b]} <= set().union(*sources):
                    lost.append((names[a], names[b], text, sources))
        assert lost == []


def test_a_source_that_nobody_wrote_about_is_asked_of_a_live_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def ask_all(questions: list, llm: object, paths: list) -> list:
        return [SimpleNamespace(texts=(f"It sounds like {questions[0].text}",))]

    monkeypatch.setattr("nrsed_lib.studies.opensep.chain.ask_all", ask_all)
    told = reader(["A zither is plucked while a dog barks."])
    live = Reader(told.captioner, RuleParser(), CAPTIONS, (load_profile("smoke").llm, tmp_path / "live.json"))
    zither, dog = live.read(waves(1))[0].sources
    assert zither.prompt.startswith("It sounds like A zither")
    assert dog.prompt == CAPTIONS["Dog"].knowledge


def test_tracks_belong_to_their_sources() -> None:
    readings = reader(["A dog barks.", "Rain falls while a person speaks.", "A zither is plucked."]).read(waves(3))
    sounds = 1 + waves(3)
    tracks = separate_sources(Scales(), sounds, readings)
    assert [len(track) for track in tracks] == [1, 2, 1]
    for sound, track, reading in zip(sounds, tracks, readings, strict=True):
        for one, source in zip(track, reading.sources, strict=True):
            torch.testing.assert_close(one, len(source.prompt) * sound)
    assert separate_sources(Scales(), sounds[:0], []) == []


def smoke_run(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Run:
    monkeypatch.setenv("NRSED_RESULTS", str(folder))
    run = Run(load_profile("smoke"), "12", 0)
    run_folder(run.profile, "11", 0).mkdir(parents=True)
    return run


def test_queries_need_a_captioner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"captioner\.safetensors is missing: it is made by 11_opensep"):
        reader_of(smoke_run(monkeypatch, tmp_path))


def test_the_captioner_of_notebook_11_writes_queries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run = smoke_run(monkeypatch, tmp_path)
    words = Words.of(captions_of(run.profile.data.classes + run.profile.data.noise_classes))
    captioner = SmallCaptioner(run.profile, words)
    path = run_folder(run.profile, "11", 0) / "captioner.safetensors"
    write_tensors(path, captioner.learned(), phrases=words.phrases)
    sounds = torch.randn(3, 16000) / 10
    reader = reader_of(run)
    queries = reader.queries(sounds, run.profile.data.classes)
    assert queries.shape == (3, len(run.profile.data.classes))
    assert queries.dtype == torch.bool
    assert torch.equal(reader.queries(sounds, run.profile.data.classes), queries)


def test_parsing_is_counted_by_hand() -> None:
    said = ["A dog barks while rain falls.", "A dog barks.", "A dog barks while rain falls and a drill is running."]
    table = parsing.parsing_counts(reader(said).read(waves(3)), [{"Dog", "Speech"}, {"Dog", "Rain"}, {"Dog", "Rain"}])
    assert table.nb_right.tolist() == [1, 1, 2]
    assert table.nb_parsed.tolist() == [2, 1, 3]
    assert table.nb_by_chance.tolist() == [1, 2, 2]  # of the sounds, in the next mixture's caption
    row = parsing.parsing_summary(table.assign(classes="any")).iloc[0]
    assert row.accuracy == pytest.approx(100 * 4 / 6)
    assert row.by_chance == pytest.approx(100 * 5 / 6)
    assert row.precision == pytest.approx(100 * 4 / 6)
    assert (row.under, row.equal, row.over) == pytest.approx((100 / 3, 100 / 3, 100 / 3))
    assert row.exact == 0


def test_parsing_is_measured(smoke_data: Run) -> None:
    run = Run(smoke_data.profile, "11", 0)
    run.folder.mkdir(parents=True, exist_ok=True)

    class Always:
        name = "always"

        def caption(self, waveforms: Tensor) -> list[str]:
            return ["A dog barks while rain falls."] * len(waveforms)

    (run.folder / "parsing.csv").unlink(missing_ok=True)
    table = parsing.measure_parsing(run, Always())
    assert len(table) == 3 * run.profile.studies.nb_mixtures  # all classes are learned
    has = table.sources.str.split("|").map(lambda names: sum(name in ("Dog", "Rain") for name in names))
    assert table.nb_right.tolist() == has.tolist()
    shown = parsing.parsing_table(run, parsing.parsing_summary(table), "always")
    assert list(shown.columns) == ["2 sources", "3 sources", "4 sources"]
    assert shown.loc[("VGGSound", "ms-CLAP"), "4 sources"] == 87.93
    kept = pd.read_csv(run.tables / "opensep_parsing.csv")
    assert set(kept["where"]) == {"smoke", "VGGSound"}
    (run.folder / "parsing.csv").unlink()
