"""Writes environment.yml, for conda users, from pyproject.toml (which packages) and requirements.lock (which
versions). `make lock` calls it; a test compares."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def environment() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    locked = dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", (ROOT / "requirements.lock").read_text(), re.M))
    names = [re.match(r"[A-Za-z0-9_.-]+", line).group().lower().replace("_", "-") for line in wanted]
    pins = "\n".join(f"      - {name}=={locked[name]}" for name in names)
    return (
        "# Made by `make lock` from pyproject.toml and requirements.lock: the same packages for conda users.\n"
        "#   conda env create -f environment.yml && conda activate nrsed && nrsed run --profile mini\n"
        f"name: nrsed\nchannels:\n  - conda-forge\ndependencies:\n  - python=3.11\n  - pip\n  - pip:\n{pins}\n      - --editable .\n"
    )


if __name__ == "__main__":
    (ROOT / "environment.yml").write_text(environment())
