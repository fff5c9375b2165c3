"""pip, conda and the lock install the same."""

import importlib.metadata
import re
import runpy
import tomllib

from packaging.requirements import Requirement

from nrsed_lib.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WANTED = [Requirement(r) for r in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]]
LOCK = (ROOT / "requirements.lock").read_text()
LOCKED = dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", LOCK, re.M))


def test_the_lock_satisfies_what_the_project_asks_for():
    for need in WANTED:
        assert need.specifier.contains(LOCKED[need.name.lower().replace("_", "-")]), need


def test_every_locked_package_has_its_hashes_and_no_registry_is_named():
    entries = re.split(r"\n(?=[A-Za-z0-9_.-]+==)", LOCK)[1:]
    assert len(entries) > 100
    assert all("--hash=sha256:" in entry for entry in entries)
    assert not re.search(r"https?://|--index|--find-links", LOCK)


def test_environment_yml_is_in_step():
    made = runpy.run_path(str(ROOT / ".ci" / "environment.py"))["environment"]()
    assert (ROOT / "environment.yml").read_text() == made, "run `make lock`"


def test_what_is_installed_is_what_is_locked():
    for need in WANTED:
        assert importlib.metadata.version(need.name) == LOCKED[need.name.lower().replace("_", "-")]
