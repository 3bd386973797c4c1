"""The published files, built and installed into clean environments. (`make package`; minutes.)"""

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.slow


def run(*command, **options):
    """Run a process, and return what it printed; the environment is that of a stranger."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(part) for part in command],
        env=kept, text=True, capture_output=True, timeout=600, check=False, **options,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def tracked(folder):
    """The files of a folder that belong to the repository."""
    return set(run("git", "ls-files", folder, cwd=ROOT).split())


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    [sdist], [wheel] = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module", params=["sdist", "wheel"])
def installed(request, built, tmp_path_factory):
    """The folder of the programs of an environment with nothing but difffilter and what it needs."""
    folder = tmp_path_factory.mktemp(request.param)
    venv.create(folder, with_pip=True)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    package = built[0] if request.param == "sdist" else built[1]
    run(programs / "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", package)
    return programs


def test_the_wheel_holds_the_package_and_nothing_else(built):
    names = set(zipfile.ZipFile(built[1]).namelist())
    assert {name for name in names if ".dist-info/" not in name} == tracked("difffilter")
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert sum("licenses/LICENSES/" in name for name in names) == len(tracked("LICENSES"))


def test_the_sdist_holds_all_that_builds_and_tests_it(built):
    with tarfile.open(built[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert tracked("difffilter") | tracked("tests") | {"pyproject.toml", "README.md"} <= names
    assert not any(name.startswith(("runs/", "docs/_build", ".venv")) for name in names)


def test_it_fits_on_the_index(built):
    assert all(path.stat().st_size < 100e6 for path in built)  # the limit of PyPI for a file


def test_a_clean_environment_smooths_a_photograph(installed, tmp_path):
    run(
        installed / "python", "-c",
        "from skimage import data, io; io.imsave('photo.png', data.camera()[:96, :96])",
        cwd=tmp_path,
    )  # fmt: skip
    assert run(installed / "difffilter", "--version").startswith("difffilter")
    run(installed / "difffilter", "smooth", "photo.png", cwd=tmp_path)
    run(
        installed / "difffilter",
        "smooth",
        "photo.png",
        "-m",
        "learned",
        "-o",
        "l.png",
        cwd=tmp_path,
    )
    run(installed / "difffilter", "compare", "photo.png", "--sigma", "25/255", cwd=tmp_path)
    assert (tmp_path / "photo_smooth.png").stat().st_size > 1000
    assert (tmp_path / "l.png").stat().st_size > 1000


def test_a_clean_environment_says_what_is_missing(installed, tmp_path):
    done = subprocess.run(
        [installed / "difffilter", "generate", "a red circle", "-o", "x.png"],
        cwd=tmp_path, text=True, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "pip install 'difffilter[ddpm]'" in done.stderr


def test_dependencies_agree(installed):
    assert "No broken requirements" in run(installed / "pip", "check")
