"""The journal of a run by blocks."""

import pytest

from difffilter.blocks.journal import Journal


def test_only_one_process_works_on_a_result(tmp_path):
    journal = Journal(tmp_path / "out.journal", {"a": 1})
    journal.begin({})
    with pytest.raises(ValueError, match="in use: another process is working on this result"):
        Journal(tmp_path / "out.journal", {"a": 1})
    journal.close()
    Journal(tmp_path / "out.journal", {"a": 1}).close()
