"""Conditions in which commands work or refuse: one case of each; ``make faults`` has more."""

import os
import shutil

import conditions
import pytest

BINDING = os.geteuid() != 0 or shutil.which("setpriv")
# The quick ones; the others compile everything, or run a process for every filter.
QUICK = {"one_image", "min_is_white", "bilevel", "masked", "orphans", "threads"}


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(
            make, id=what, marks=[] if make.__name__ in QUICK else [pytest.mark.slow]
        )
        for what, _, make in conditions.CONDITIONS
    ],
)  # fmt: skip
def test_works_or_is_refused(make, tmp_path):
    if make.__name__.endswith("home") and not BINDING:
        pytest.skip("needs a user whom permissions bind")
    assert make(tmp_path / "scene", 1) >= 1
