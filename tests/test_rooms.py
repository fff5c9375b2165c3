"""The house: imports point down the list of rooms, no files and no packages import each other in a circle."""

import re

from nrsed_lib.artefacts import imports, module_file
from nrsed_lib.paths import ROOT

# From the ground up: a room knows those before it. (Within a room any file may know another, without a circle.)
ROOMS = (
    "errors", "paths", "history", "series", "settings", "profile", "store", "weights", "artefacts", "processes",
    "sharding", "training", "data", "llm", "sed", "lass", "evaluate", "systems", "calibration", "testing", "plots",
    "studies", "convert", "run",
)  # fmt: skip


def sources() -> dict[str, str]:
    """Module -> its text, of every file in the library."""
    files = {".".join(p.relative_to(ROOT).with_suffix("").parts): p for p in ROOT.glob("nrsed_lib/**/*.py")}
    return {name.removesuffix(".__init__"): path.read_text() for name, path in files.items()}


def graph() -> dict[str, set[str]]:
    """Module -> the modules it imports, wherever in the file; a package is not its modules."""
    found = {}
    for module, text in sources().items():
        package = module if module_file(module).name == "__init__.py" else module.rpartition(".")[0]
        named = set(imports(text, package)) - {module, "nrsed_lib"}
        parents = {m for m in named if any(other.startswith(f"{m}.") for other in named)}
        found[module] = named - parents
    return found


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """Some circle of a graph, or nothing."""
    done: set[str] = set()

    def walk(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node not in done:
            for after in sorted(arrows.get(node, ())):
                if found := walk(after, [*path, node]):
                    return found
            done.add(node)
        return []

    return next((found for node in sorted(arrows) if (found := walk(node, []))), [])


def room(module: str) -> str:
    return module.split(".")[1]


def package(module: str) -> str:
    return module if module_file(module).name == "__init__.py" else module.rpartition(".")[0]


def test_no_arrow_points_up() -> None:
    above = {name: i for i, name in enumerate(ROOMS)}
    up = [
        f"{module} imports {other}"
        for module, named in graph().items() if module != "nrsed_lib"
        for other in named if above[room(other)] > above[room(module)]
    ]  # fmt: skip
    assert not up, "\n".join(up)


def test_no_files_import_each_other_in_a_circle() -> None:
    assert not circle(graph())


def test_no_packages_import_each_other_in_a_circle() -> None:
    arrows: dict[str, set[str]] = {}
    for module, named in graph().items():
        arrows.setdefault(package(module), set()).update(package(other) for other in named)
    without_self = {name: {o for o in others if o not in (name, "nrsed_lib")} for name, others in arrows.items()}
    without_self.pop("nrsed_lib")  # its files are rooms of their own
    assert not circle(without_self)


def test_the_library_knows_nothing_of_its_tools() -> None:
    knowing = [
        name for name, text in sources().items() if re.search(r"^\s*(?:from|import) (?:tools|tests)\b", text, re.M)
    ]
    assert not knowing


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert not circle({"a": {"b", "c"}, "b": {"c"}, "c": set()})
