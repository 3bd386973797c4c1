"""Killed, interrupted, no disk, no memory, no rights: a few cases of each; ``make faults`` has more."""

import faults
import pytest

# The quick ones; the others take minutes.
QUICK = {
    ("SIGKILL to the process", "bench"),
    ("Ctrl-C", "smooth, a folder"),
    ("Ctrl-C", "bench"),
    ("SIGINT at any moment", "smooth photo.png -o out.png --overwrite -m edge_enhancing"),
    ("SIGTERM at any moment", "smooth in -o out --resume --jobs 2"),
    ("disk full (a limit on what a file may hold)", "smooth by blocks, TIFF"),
    ("a folder that may not be written in", "smooth by blocks, Zarr"),
}


@pytest.mark.parametrize(
    "provoke",
    [
        pytest.param(
            provoke,
            id=f"{how}, {where}",
            marks=[] if (how, where) in QUICK else [pytest.mark.slow],
        )
        for how, where, provoke in faults.FAULTS
    ],
)
def test_nothing_half_done_passes_for_whole(provoke, request, tmp_path):
    few = 1 if request.node.get_closest_marker("slow") is None else 4
    assert provoke(tmp_path / "scene", few) >= 1
