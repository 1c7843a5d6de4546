import pytest
import torch

from winninghand import InputError
from winninghand.base.device import best_device, resolve_device


def test_a_device_that_was_chosen_is_kept_and_none_means_the_best():
    assert resolve_device("cpu") == resolve_device(torch.device("cpu")) == torch.device("cpu")
    assert resolve_device(None) == best_device()


@pytest.mark.parametrize("name", ["nonsense", "cuda:63", "meta"])
def test_a_device_that_is_not_there_is_one_line(name):
    with pytest.raises(InputError, match=f"the device '{name}' cannot be used here") as caught:
        resolve_device(name)
    assert "\n" not in str(caught.value)
