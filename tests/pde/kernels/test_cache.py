"""Compiled kernels on disk: never stale, never in the way. And kernels that are not compiled."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from equations import EQUATIONS

import difffilter
from difffilter.catalog import spell

PACKAGE = Path(difffilter.__file__).parent

# A kernel, and in another file a function that it calls.
SHARED = """
from difffilter.pde.kernels.common import inner

@inner
def shared(x):
    return x + {number}
"""
CALLER = """
from difffilter.pde.kernels.common import kernel
from difffilter.pde.kernels.shared import shared

@kernel
def caller(x):
    return shared(x)
"""
CALL = """
from difffilter.pde.kernels.caller import caller

print(caller({argument}), sum(caller.stats.cache_hits.values()), caller.stats.cache_path)
"""


@pytest.fixture
def kernels(tmp_path):
    """The folder of kernels in a copy of the package, with the two files above."""
    target = tmp_path / "copy" / "difffilter"
    shutil.copytree(PACKAGE, target, ignore=shutil.ignore_patterns("__pycache__", "weights"))
    folder = target / "pde" / "kernels"
    (folder / "shared.py").write_text(SHARED.format(number=1))
    (folder / "caller.py").write_text(CALLER)
    return folder


def call(kernels, *command, argument="0.5", before="", warned="", **environment):
    """The result of the kernel in a separate process, its cache hits, and the cache folder."""
    copy = kernels.parents[2]
    clean = {k: v for k, v in os.environ.items() if k not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    result = subprocess.run(
        [*command, sys.executable, "-c", before + CALL.format(argument=argument)],
        env=clean | {"PYTHONPATH": str(copy)} | environment,
        cwd=copy, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    if warned:
        assert result.stderr.count(warned) == 1, result.stderr
    else:
        assert result.stderr == ""
    value, hits, path = result.stdout.split()
    return complex(value), int(hits), path


def test_a_change_in_another_file_is_noticed(kernels):
    place = str(kernels / "__pycache__")
    assert call(kernels) == (1.5, 0, place)
    assert call(kernels) == (1.5, 1, place)
    (kernels / "shared.py").write_text(SHARED.format(number=2))
    assert call(kernels) == (2.5, 0, place)
    assert call(kernels) == (2.5, 1, place)


def test_a_damaged_cache_is_rebuilt(kernels):
    call(kernels)
    for kind in ("nbi", "nbc"):
        (file,) = kernels.glob(f"__pycache__/caller.*.{kind}")
        file.write_bytes(b"nonsense")
        assert call(kernels)[:2] == (1.5, 0)
    assert call(kernels)[:2] == (1.5, 1)


def test_each_signature_has_files_of_its_own(kernels):
    call(kernels)
    before = {path: path.read_bytes() for path in kernels.glob("__pycache__/caller.*.nb?")}
    assert len(before) == 2
    call(kernels, argument="2j")
    assert len([*kernels.glob("__pycache__/caller.*.nb?")]) == 4
    assert all(path.read_bytes() == content for path, content in before.items())


@pytest.fixture
def read_only(kernels, tmp_path):
    """A way to call the kernel where neither the package nor a home can be written to."""
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("needs a user whom permissions bind")
    (tmp_path / "tmp").mkdir()
    folders = [kernels.parents[2], *(p for p in kernels.parents[2].rglob("*") if p.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    # Root may write anywhere; without that right it is like everyone.
    drop = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"]
    places = {"HOME": str(tmp_path / "copy"), "TMPDIR": str(tmp_path / "tmp")}
    yield lambda **more: call(kernels, *(drop if os.geteuid() == 0 else []), **places | more)
    for folder in folders:
        folder.chmod(0o755)


def test_a_temporary_folder_if_no_other_can_be_written(read_only, tmp_path):
    place = str(tmp_path / "tmp" / f"difffilter-{os.getuid()}")
    value, hits, path = read_only()
    assert (value, hits) == (1.5, 0)
    assert path.startswith(place)
    assert read_only()[:2] == (1.5, 1)
    assert Path(place).stat().st_mode & 0o777 == 0o700


def test_no_cache_in_a_folder_that_others_can_write(read_only, tmp_path):
    place = tmp_path / "tmp" / f"difffilter-{os.getuid()}"
    place.mkdir()
    place.chmod(0o777)
    for _ in range(2):
        assert read_only(warned="filters are compiled anew in every process") == (1.5, 0, "None")
    assert not list(place.iterdir())


@pytest.mark.skipif(not shutil.which("setpriv") or os.geteuid() != 0, reason="needs other users")
def test_a_user_without_a_name_and_a_home(kernels, tmp_path):
    """As in a container with ``--user``; it may read all, but write nothing except its own."""
    place = tmp_path / "tmp"
    place.mkdir()
    place.chmod(0o1777)
    right = "-all,+dac_read_search"
    user = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", f"--inh-caps={right}",
            f"--ambient-caps={right}", f"--bounding-set={right}", "env", "-u", "HOME"]  # fmt: skip
    value, hits, path = call(kernels, *user, TMPDIR=str(place))
    assert (value, hits) == (1.5, 0)
    assert path.startswith(str(place / "difffilter-54321"))
    assert call(kernels, *user, TMPDIR=str(place))[:2] == (1.5, 1)


# Ends the process where Numba has written the index but not yet the code.
KILLED = """
import os
from numba.core.caching import IndexDataCacheFile

IndexDataCacheFile._save_data = lambda *_: os._exit(0)
"""


def test_a_process_killed_while_it_writes_leaves_no_stale_code(kernels):
    call(kernels)
    (kernels / "shared.py").write_text(SHARED.format(number=2))
    with pytest.raises(ValueError, match="not enough values"):  # it has printed nothing
        call(kernels, before=KILLED)
    assert call(kernels)[:2] == (2.5, 0)
    assert call(kernels)[:2] == (2.5, 1)


# Exceptions while Numba writes the code.
FAULTS = {
    "interrupted": "KeyboardInterrupt",
    "disk full": "OSError(28, 'No space left on device')",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_while_code_is_written_does_no_harm(kernels, fault):
    before = f"""
import contextlib
from numba.core.caching import IndexDataCacheFile

def fail(*_):
    raise {FAULTS[fault]}

save, IndexDataCacheFile._save_data = IndexDataCacheFile._save_data, fail
with contextlib.suppress(KeyboardInterrupt):
    from difffilter.pde.kernels.caller import caller
    caller(0.5)
IndexDataCacheFile._save_data = save
"""
    assert call(kernels, before=before)[:2] == (1.5, 0)
    assert call(kernels)[0] == 1.5
    assert call(kernels)[:2] == (1.5, 1)


def test_processes_that_compile_at_the_same_time(kernels):
    with ThreadPoolExecutor(4) as pool:
        for value, hits, _ in pool.map(lambda _: call(kernels), range(4)):
            assert (value, hits) in ((1.5, 0), (1.5, 1))
    assert call(kernels)[:2] == (1.5, 1)


def test_an_invalid_cache_folder_does_no_harm(read_only, tmp_path):
    (tmp_path / "file").touch()
    assert read_only(NUMBA_CACHE_DIR=str(tmp_path / "file"))[0] == 1.5


UNCOMPILED = """
import sys

import numpy as np

import difffilter as df

image = np.load(sys.argv[1])
for number, method in enumerate(sys.argv[2:]):
    for name, x, axis in (
        ("grey", image, None), ("colour", np.stack([image, image**2, 1 - image], -1), -1),
        ("volume", np.stack([image, image**2]), None),
    ):
        result = df.denoise(x, sigma=0.05, method=method, channel_axis=axis)
        np.save(f"{number} {name}.npy", result)
"""

# Every filter, and what else has kernels of its own.
METHODS = [
    *(spell(equation.method(time=0.3)) for equation in EQUATIONS.values()),
    "perona_malik(kappa=0.1, time=0.3, diffusivity='exponential', presmooth=0)",
    "perona_malik(kappa=0.1, time=0.3, diffusivity='tukey', presmooth=0.5)",
    "perona_malik(kappa=0.1, time=1, diffusivity='weickert', presmooth=0, scheme='fsi', step=1)",
    "perona_malik(kappa=0.1, time=1, presmooth=0.5, scheme='aos', step=1)",
]


def test_every_filter_runs_uncompiled(tmp_path, rng):
    image = rng.uniform(0.2, 0.8, (5, 6)).astype(np.float32)
    np.save(tmp_path / "image.npy", image)
    results = []
    for disabled in "01":
        folder = tmp_path / disabled
        folder.mkdir()
        subprocess.run(
            [sys.executable, "-W", "error", "-c", UNCOMPILED, str(tmp_path / "image.npy"), *METHODS],
            env=os.environ | {"NUMBA_DISABLE_JIT": disabled}, cwd=folder, check=True, timeout=600,
        )  # fmt: skip
        results.append({path.name: np.load(path) for path in folder.iterdir()})
    assert len(results[0]) == 3 * len(METHODS)
    for name, compiled in results[0].items():
        np.testing.assert_allclose(results[1][name], compiled, atol=1e-5, err_msg=name)
