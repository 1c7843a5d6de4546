"""A device that computes on the CPU and refuses to be mixed with it, for machines without an accelerator.

`pretend()` gives the process a device `pretended` and changes torch for good: use it in a process of
its own. Tensors on it wrap tensors of the CPU. Every operation is handed on to these, unless its other
tensors lie on the CPU, which is an error here as it is on a GPU.
"""

import contextlib
from typing import ClassVar

import torch
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

NAME = "pretended"
DEVICE = f"{NAME}:0"


def pretend():
    """Make the device known, and return the mode under which tensors can be made on it."""
    backend_registration._setup_privateuseone_for_python_backend(NAME, _Backend())
    # Parameters keep their identity when a module moves, as they do on a GPU.
    torch.__future__.set_swap_module_params_on_conversion(True)
    torch.inference_mode = _inference_mode
    torch.Generator = _Generator
    torch.tensor = _moving(torch.tensor)
    torch.save, torch.load = _saving_the_content(torch.save), _loading_to_the_device(torch.load)
    return _Mode()


class Wrapper(torch.Tensor):
    """A tensor on the pretended device; `content` is where its numbers are."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, content):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            content.shape,
            strides=content.stride(),
            storage_offset=content.storage_offset(),
            dtype=content.dtype,
            device=DEVICE,
        )

    def __init__(self, content):
        self.content = content

    def new_tensor(self, data):
        return torch.tensor(data, dtype=self.dtype, device=DEVICE)

    def tolist(self):
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        return _run(operation, args, kwargs or {})


class _Mode(TorchDispatchMode):
    """Sees operations without any tensor of the device, such as those that make one there."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        return _run(operation, args, kwargs or {})


def _run(operation, args, kwargs):
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    there = [tensor for tensor in tensors if isinstance(tensor, Wrapper)]
    here = [tensor for tensor in tensors if not isinstance(tensor, Wrapper) and tensor.ndim > 0]
    name = operation._schema.name
    # A GPU may be indexed by the CPU, copied to and copied from.
    mixing = there and here and name not in ("aten::copy_", "aten::index", "aten::index_put_")
    assert not mixing, f"{name} mixes devices, on the CPU: {[tuple(tensor.shape) for tensor in here]}"
    device, generator = kwargs.get("device"), kwargs.get("generator")
    result_is_there = bool(there) if device is None else torch.device(device).type == NAME
    if generator is not None and result_is_there:
        assert generator.initial_seed() in _Generator.seeds, f"{name} has a generator of the CPU"
    kwargs = {**kwargs, "device": torch.device("cpu")} if device is not None else kwargs
    args, kwargs = tree_map(_content, (args, kwargs))
    result = operation(*args, **kwargs)
    if name == "aten::_to_copy" and result is args[0]:
        result = result.clone()
    if not result_is_there:
        return result
    # What works in place gives back what it was given.
    wrappers = {id(tensor.content): tensor for tensor in there}
    return _on_tensors(lambda tensor: wrappers.get(id(tensor), Wrapper(tensor)), result)


def _content(leaf):
    return leaf.content if isinstance(leaf, Wrapper) else leaf


class _Generator(torch.Generator):
    """Stands for `torch.Generator`; an instance is a generator on the pretended device, known by its seed."""

    device = property(lambda _: torch.device(DEVICE))
    seeds: ClassVar = set()

    def __new__(cls, device="cpu"):
        return super().__new__(cls) if torch.device(device).type == NAME else _GENERATOR(device)

    def manual_seed(self, seed):
        self.seeds.add(seed)
        return super().manual_seed(seed)


_GENERATOR = torch.Generator


def _inference_mode(mode=True):
    # Tensors that wrap others cannot be made under the real one.
    return torch.no_grad()(mode) if callable(mode) else torch.no_grad() if mode else contextlib.nullcontext()


def _moving(make):
    def tensor(data, device=None, **settings):
        return make(data, **settings) if device is None else make(data, **settings).to(device)

    return tensor


def _saving_the_content(save):
    return lambda state, *args: save(_on_tensors(lambda tensor: _content(tensor.detach()), state), *args)


def _loading_to_the_device(load):
    def loaded(path, map_location="cpu", **settings):
        state = load(path, map_location="cpu", **settings)
        return _on_tensors(lambda tensor: tensor.to(map_location), state)

    return loaded


def _on_tensors(function, tree):
    return tree_map(lambda leaf: function(leaf) if isinstance(leaf, torch.Tensor) else leaf, tree)


class _Backend(backend_registration._DummyBackendModule):
    """What torch asks of a device's module when random state is put aside."""

    def device_count(self):
        return 1

    def get_rng_state(self, *_):
        return torch.get_rng_state()

    def set_rng_state(self, *_):
        pass

    def manual_seed_all(self, *_):
        pass

    def _is_in_bad_fork(self):
        return False
