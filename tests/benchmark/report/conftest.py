"""A results folder with all that may happen, and its reports."""

import pytest
from synthetic import METHODS, write_results

from difffilter.benchmark import report

EVIL = "<script>alert('x')</script> | *a* `b` $c_d$"
EVIL_METHODS = METHODS | {EVIL: ("evil", 8.0, 0.05, 0.5)}


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """A results folder and its values: a failed case, a missing method, example images."""
    folder = tmp_path_factory.mktemp("study") / "results"
    values = write_results(
        folder,
        failed=[("moon", 50, "bm3d")],
        missing={"diplib": "needs <diplib>"},
        examples=["camera"],
    )
    return folder, values


@pytest.fixture(scope="session")
def results(study):
    return report.read(study[0])


@pytest.fixture(scope="session")
def markdown(results):
    return report.markdown(results)


@pytest.fixture(scope="session")
def page(results):
    return report.html(results)


@pytest.fixture(scope="session")
def evil(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evil") / "results"
    write_results(
        folder,
        methods=EVIL_METHODS,
        levels=(25,),
        missing={"</script><b>": "<img src=x>"},
        title="<i>title</i>",
        examples=["coins"],
    )
    return report.read(folder)
