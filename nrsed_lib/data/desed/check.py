"""`nrsed data check` for DESED: every published part, walked on disk before anything is converted."""

from __future__ import annotations

import pandas as pd

from nrsed_lib.artefacts import Run, shown_folder
from nrsed_lib.data.clips import list_digest
from nrsed_lib.data.desed.audioset import isolated_sounds
from nrsed_lib.data.desed.layout import PARTS, WILD_SNRS, Listing, condition_part, listing
from nrsed_lib.data.desed.prepare import cut_short, noisy_conditions, shard_folder
from nrsed_lib.data.desed.shards import Format, Item, survey
from nrsed_lib.errors import DataError
from nrsed_lib.profile import Data
from nrsed_lib.store import remove, write_table

SHORT = 0.5  # of the clip's length


def check_desed(run: Run) -> pd.DataFrame:
    """One row a part of the data sets, whether the profile uses it or not, and one for AudioSet-Strong's sounds.

    Columns: listed (in the label file), published, present, missing, unreadable; of what can be read: wrong_rate
    (not the profile's: is resampled), multichannel (are averaged), silent, short (under half a clip: zeros
    follow), clipped (three samples in a row at full scale); renamed (another extension than listed),
    duplicate_rows, events, list_hash of the clips that can be used. A part without a label file, or with one that
    breaks a rule, has listed = 0 and the reason in `remedy`. The clips that the profile uses and that are
    missing or broken are in `results/runs/<profile>/missing/<part>.tsv` (filename, error), the list that the
    organisers ask for.
    """
    data = run.profile.data
    used = {condition_part(c) for c in noisy_conditions(data) if c in {f"{snr}dB" for snr in WILD_SNRS}}
    rows = []
    for name, part in PARTS.items():
        needed = name in used if name.startswith("wild") else part.split is not None
        about: dict[str, object] = {"part": name, "split": part.split if needed else "not used"}
        about |= {"published": part.nb_clips}
        try:
            rows.append(about | _walk(run, listing(name, data.classes), needed))
        except DataError as error:
            rows.append(about | {"listed": 0, "present": 0, "remedy": str(error)})
    return pd.DataFrame([*rows, _sounds(data)]).convert_dtypes()


def _walk(run: Run, of: Listing, needed: bool) -> dict[str, object]:
    data = run.profile.data
    items = [Item(name, of.files[name]) for name in of.names if name in of.files]
    found = survey(items, Format(data.sample_rate, data.nb_samples), shard_folder(data), of.part)
    found.loc[(found["problem"] == "") & cut_short(found, of.events, data), "problem"] = (
        "truncated: its events end later"
    )
    missing = [name for name in of.names if name not in of.files]
    bad, good = found[found["problem"] != ""], found[found["problem"] == ""]
    faults = pd.concat(
        [
            pd.DataFrame({"filename": missing, "error": "missing"}),
            bad[["name", "problem"]].set_axis(["filename", "error"], axis=1),
        ]
    )
    path = shown_folder(run.profile) / "missing" / f"{of.part}.tsv"
    remove(path)
    remedy = ""
    if needed and len(faults):
        write_table(path, faults)
        reasons = faults["error"].str.partition(":")[0].value_counts()
        what = ", ".join(f"{nb} {reason}" for reason, nb in reasons.items())
        remedy = f"{what}: named in {path}; {PARTS[of.part].where}"
    return {
        "listed": len(of.names),
        "present": len(items),
        "missing": len(missing),
        "unreadable": len(bad),
        "wrong_rate": int((good["rate"] != data.sample_rate).sum()),
        "multichannel": int((good["channels"] > 1).sum()),
        "silent": int(good["silent"].sum()),
        "short": int((good["length"] < SHORT * data.nb_samples).sum()),
        "clipped": int(good["clipped"].sum()),
        "renamed": sum(of.files[i.name].name != i.name for i in items),
        "duplicate_rows": of.nb_duplicates,
        "events": len(of.events),
        "list_hash": list_digest(good["name"].tolist()),
        "remedy": remedy,
    }


def _sounds(data: Data) -> dict[str, object]:
    """The isolated sounds of AudioSet-Strong: events listed, with audio, and the classes that have none."""
    about = {"part": "audioset_strong", "split": "sources"}
    try:
        table = isolated_sounds(data)[1]
    except DataError as error:
        return about | {"listed": 0, "present": 0, "remedy": str(error)}
    noise = table[table["role"] == "noise"]
    silent = sorted(set(data.noise_classes) - set(noise["label"][noise["sounds"] > 0]))
    listed, present = int(noise["events"].sum()), int(noise["there"].sum())
    remedy = (
        f"{len(silent)} of {len(data.noise_classes)} noise classes have no sound, e.g. {silent[:3]}" if silent else ""
    )
    return about | {
        "listed": listed,
        "present": present,
        "missing": listed - present,
        "events": int(table["sounds"].sum()),  # drawn from those
        "remedy": remedy,
    }
