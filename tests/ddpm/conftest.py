import pytest


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Tensors this small are not worth sharing among threads, least of all on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
