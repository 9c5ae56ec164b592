"""What is declared in several places says the same everywhere."""

import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from nrp import __version__

TOP = Path(__file__).parents[1]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
LOCK, BENCH_LOCK = ((TOP / f"requirements{kind}.lock").read_text().splitlines() for kind in ("", "-bench"))
PINS = {canonicalize_name(name): pin for name, _, pin in (line.partition("==") for line in LOCK + BENCH_LOCK)}
LINUX = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}


def declared(*without):
    extras = [text for name, extra in EXTRAS.items() if name not in without for text in extra]
    return PROJECT["dependencies"] + extras


def satisfied(requirement):
    pin = PINS.get(canonicalize_name(requirement.name))
    return pin is not None and requirement.specifier.contains(pin, prereleases=True)


@pytest.mark.parametrize("text", declared())
def test_the_lock_satisfies_every_requirement(text):
    assert satisfied(Requirement(text))


def test_the_lock_pins_all_that_the_requirements_need_in_turn():
    seen, waiting, missing = set(), [Requirement(text) for text in declared("bench")], []
    while waiting:
        requirement = waiting.pop()
        for extra in {"", *requirement.extras}:
            if (requirement.name, extra) in seen:
                continue
            seen.add((requirement.name, extra))
            for text in distribution(requirement.name).requires or ():
                needed = Requirement(text)
                if needed.marker and not needed.marker.evaluate({**LINUX, "extra": extra}):
                    continue
                if re.match("nvidia|cuda|triton", needed.name):
                    continue
                waiting.append(needed)
                if not satisfied(needed):
                    missing.append(f"{requirement.name} needs {needed}")
    assert not missing


def test_the_lock_is_nothing_but_exact_pins():
    """No hashes, addresses, markers, local builds or editable lines; no driver libraries."""
    for line in LOCK + BENCH_LOCK:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line), line
        assert not re.match("nvidia|cuda|triton|neural-reduced", line), line
    assert len(PINS) == len(LOCK + BENCH_LOCK)
    for lock in (LOCK, BENCH_LOCK):
        assert sorted(lock, key=str.upper) == lock


def test_torch_is_the_same_everywhere():
    assert "torch==2.13.0" in PROJECT["dependencies"]
    assert "torch==2.13.0" in LOCK


def test_the_conda_environment_installs_the_package_with_all_extras():
    environment = yaml.safe_load((TOP / "environment.yml").read_text())
    assert environment["name"] == "nrp"
    assert environment["channels"] == ["conda-forge"]
    python, pip, by_pip = environment["dependencies"]
    python = Requirement(python)
    assert (python.name, str(python.specifier)) == ("python", PROJECT["requires-python"])
    assert pip == "pip"
    [line] = by_pip["pip"]
    [extras] = re.findall(r"^-e \.\[(.*)\]$", line)
    assert set(extras.split(",")) == set(EXTRAS)


def test_versions_agree():
    citation = yaml.safe_load((TOP / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"] == __version__
    assert f"## [{__version__}]" in (TOP / "CHANGELOG.md").read_text()


def test_the_citation_names_the_book_and_the_paper():
    citation = yaml.safe_load((TOP / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["authors"] == PROJECT["authors"] == [{"name": "the contributors"}]
    [paper] = citation["references"]
    assert [author["family-names"] for author in paper["authors"]] == [
        "Tsuji",
        "Murakami",
        "Shouno",
        "Mototake",
    ]


def test_code_and_prose_are_licensed():
    assert PROJECT["license"]["text"] == "MIT"
    assert (TOP / "LICENSE").read_text().startswith("MIT License\n\nCopyright (c) 2026 the contrib")
    assert "Attribution 4.0 International" in (TOP / "LICENSE-CC-BY-4.0").read_text()


def test_the_hooks_before_a_commit_fetch_nothing():
    config = yaml.safe_load((TOP / ".pre-commit-config.yaml").read_text())
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    hooks = config["repos"][0]["hooks"]
    assert {hook["language"] for hook in hooks} == {"system"}
    assert {hook["entry"].split()[0] for hook in hooks} == {"ruff"}


def test_no_file_names_the_host_of_a_package_registry():
    """Where packages come from is the reader's choice, made outside the repository."""
    hosts = ["pypi.", "pythonhosted.", "npmjs.", "anaconda.", "download.pytorch."]
    hosts = [host + "org" for host in hosts] + ["anaconda." + "com"]
    skipped = {".git", ".venv", "runs", "_build", "node_modules"}
    named = [
        path.relative_to(TOP).as_posix()
        for entry in TOP.iterdir()
        if entry.name not in skipped
        for path in ([entry] if entry.is_file() else entry.rglob("*"))
        if path.is_file() and any(host.encode() in path.read_bytes() for host in hosts)
    ]
    assert named == []
