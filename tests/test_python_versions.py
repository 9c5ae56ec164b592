"""The lock on newer Pythons than that of the tests: every package allows them, and has a wheel for them."""

import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

LOCK = Path(__file__).parents[1] / "requirements.lock"
PINS = LOCK.read_text(encoding="utf-8").split()


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_the_lock_can_be_installed(version, tmp_path):
    compiled = []
    for pin in PINS:
        package = distribution(pin.partition("==")[0])
        assert f"{version}.0" in SpecifierSet(package.metadata.get("Requires-Python", "")), pin
        if "Root-Is-Purelib: false" in package.read_text("WHEEL"):
            compiled.append(pin)
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--dry-run",
        "--ignore-installed",
        "--no-deps",
        "--quiet",
    ]
    command += ["--only-binary=:all:", "--python-version", version, "--target", str(tmp_path), *compiled]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
