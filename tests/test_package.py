"""The package as it is installed, editable and as a wheel: it finds its modules, definitions, migrations and console."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import entry_points, packages_distributions
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES: list[str] = PYPROJECT["tool"]["setuptools"]["packages"]
MAPPED: dict[str, str] = PYPROJECT["tool"]["setuptools"]["package-dir"]

SHIPPED = {
    "crisis_engine.workflows": "school_crisis_v1.toml",
    "crisis_engine.policies": "default_v1.toml",
    "crisis_engine.migrations": "env.py",
    "crisis_engine.migrations.versions": "__init__.py",
}


def folder_of(package: str) -> Path:
    """Where the clone keeps a package: in its mapped folder, or where its name says."""
    for mapped, folder in MAPPED.items():
        if package == mapped or package.startswith(f"{mapped}."):
            return ROOT / folder / package.removeprefix(mapped).replace(".", "/").lstrip("/")
    return ROOT / package.replace(".", "/")


def sources() -> list[Path]:
    """Every Python file that is shipped."""
    return [path for package in PACKAGES for path in sorted(folder_of(package).glob("*.py"))]


def requirement_names(requirements: list[str]) -> set[str]:
    """The distributions' names, normalised, without bounds."""
    return {re.split(r"[^\w.-]", requirement)[0].lower().replace("_", "-") for requirement in requirements}


def test_every_listed_package_is_on_the_disk() -> None:
    assert [package for package in PACKAGES if not (folder_of(package) / "__init__.py").is_file()] == []


def test_every_package_on_the_disk_is_listed() -> None:
    tops = {"crisis_engine": "crisis_engine"} | {folder: package for package, folder in MAPPED.items()}
    found = {
        ".".join([package, *path.parent.relative_to(ROOT / folder).parts])
        for folder, package in tops.items()
        for path in (ROOT / folder).rglob("*.py")
    }
    assert found == set(PACKAGES)


@pytest.mark.parametrize(("package", "name"), SHIPPED.items())
def test_the_installed_package_finds_its_files(package: str, name: str) -> None:
    assert files(package).joinpath(name).is_file()


def test_the_clone_is_what_is_installed() -> None:
    found = Path(str(files("crisis_engine.workflows"))).resolve()
    assert found == ROOT / "workflows", "installed from elsewhere: run the tests by `make test`, which installs this clone"


def test_the_console_is_installed_under_its_name() -> None:
    (script,) = entry_points(group="console_scripts", name="crisis")
    assert script.value == "crisis_engine.cli:main"
    assert callable(script.load())


def test_the_package_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "crisis_engine", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "crisis" in done.stdout


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    owners = packages_distributions()
    imported: set[str] = set()
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            imported |= {name.partition(".")[0] for name in names}
    others = imported - sys.stdlib_module_names - {"crisis_engine"}
    used = {owner.lower().replace("_", "-") for name in others for owner in owners[name]}
    extras = PYPROJECT["project"]["optional-dependencies"]
    optional = requirement_names([*extras["postgres"], *extras["notify"]])
    assert used - optional == requirement_names(PYPROJECT["project"]["dependencies"])


def test_the_wheel_carries_definitions_migrations_example_and_licence(tmp_path: Path) -> None:
    clone = tmp_path / "clone"  # setuptools leaves build/ and *.egg-info where it builds: not here
    clone.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, clone)
    for folder in ("crisis_engine", *MAPPED.values()):
        shutil.copytree(ROOT / folder, clone / folder, ignore=shutil.ignore_patterns("__pycache__"))

    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel"]
    how = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(tmp_path)]
    done = subprocess.run([*pip, *how, str(clone)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("crisis_engine-*.whl")
    shipped = set(zipfile.ZipFile(wheel).namelist())

    wanted = {
        f"{package.replace('.', '/')}/{path.name}"
        for package in PACKAGES
        for path in folder_of(package).iterdir()
        if path.suffix in {".py", ".toml", ".mako", ".csv", ".md"} or path.name == "py.typed"
    }
    assert {path for path in shipped if ".dist-info/" not in path} == wanted
    assert wanted >= {f"{package.replace('.', '/')}/{name}" for package, name in SHIPPED.items()} | {"crisis_engine/py.typed"}
    assert any(path.endswith(".dist-info/licenses/LICENSE") for path in shipped)
