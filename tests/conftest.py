"For all tests."
import pytest, torch

@pytest.fixture(scope="session", autouse=True)
def one_thread():
    "Several test processes share the cores, and one thread adds up in one order only."
    torch.set_num_threads(1)
