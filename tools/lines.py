"""How much code there is: lines of the library by room, and of what notebooks 01-08 import.

    python -m tools.lines [--profile mini] [--files]

What a notebook imports is followed from its cells, with the plug-ins that the profile names, and without those it
does not.
"""

from __future__ import annotations

import argparse
from collections import Counter

from nrsed_lib.artefacts import code_of, notebook_file, plugins_of
from nrsed_lib.paths import ROOT
from nrsed_lib.profile import load_profile
from nrsed_lib.series import SERIES


def lines_of(files: set[str]) -> dict[str, int]:
    """Lines of each file; paths from the root."""
    return {file: len((ROOT / file).read_text().splitlines()) for file in sorted(files)}


def paper_files(profile: str) -> set[str]:
    """The library's files that the notebooks of the paper (not of the studies) import on a profile."""
    settings = load_profile(profile)
    paper = [id_ for id_, notebook in SERIES.items() if not notebook.study]
    return {
        file for id_ in paper for file in code_of(notebook_file(id_), frozenset(), besides=plugins_of(id_, settings))
    }


def library_files() -> set[str]:
    return {str(path.relative_to(ROOT)) for path in ROOT.glob("nrsed_lib/**/*.py")}


def room(file: str) -> str:
    return file.split("/")[1].removesuffix(".py")


def main() -> None:
    parser = argparse.ArgumentParser(prog="tools.lines", description=__doc__.partition("\n")[0])
    parser.add_argument("--profile", default="mini")
    parser.add_argument("--files", action="store_true", help="every file of the paper's notebooks")
    args = parser.parse_args()
    paper, library = lines_of(paper_files(args.profile)), lines_of(library_files())
    if args.files:
        print("".join(f"{nb:6d}  {file}\n" for file, nb in paper.items()))
    rooms, of_paper = Counter[str](), Counter[str]()
    for file, nb in library.items():
        rooms[room(file)] += nb
        of_paper[room(file)] += paper.get(file, 0)
    print(f"{'room':12s} {'library':>8s} {'01-08 on ' + args.profile:>15s}")
    for name, nb in rooms.items():
        print(f"{name:12s} {nb:8,d} {of_paper[name]:15,d}")
    print(f"{'all':12s} {sum(rooms.values()):8,d} {sum(of_paper.values()):15,d}")


if __name__ == "__main__":
    main()
