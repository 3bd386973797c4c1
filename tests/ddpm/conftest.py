import pytest


@pytest.fixture(scope="session", autouse=True)
def one_thread(torch_threads):
    """For every test of this folder."""
