"""The gate at which every network enters: what comes in keeps its function, what cannot is named."""

import threading
import warnings
from collections import OrderedDict
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

import winninghand as wh
from winninghand.networks import architecture_of, as_logits, entering, network
from winninghand.networks.entering import copied

IMAGES = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def net(classes=4, channels=3):
    """Two convolutions, a batch norm, a pool and a head; names 0, 1, 3 and 6."""
    return nn.Sequential(
        nn.Conv2d(channels, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 6, 3),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, classes),
    ).eval()


def enter(module):
    return entering(module, (8, 8), 4)


class Around(nn.Module):
    """A network whose outputs are wrapped, and what else it may hold."""

    def __init__(self, wrap=lambda x: x, **attributes):
        super().__init__()
        self.body = net()
        self.wrap = wrap
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x):
        return self.wrap(self.body(x))


def test_a_plain_network_enters_as_it_is():
    module = net().train()
    assert enter(module) is module
    assert all(part.training for part in module.modules())


@pytest.mark.parametrize("classes", [1, 3, 5, 1000])
def test_outputs_are_as_many_as_the_classes(classes):
    with pytest.raises(wh.InputError, match=rf"one per class, not \(2, {classes}\)"):
        enter(net(classes))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda x: (x, 2 * x),
        lambda x: [x],
        lambda x: {"features": 2 * x, "logits": x},
        lambda x: OrderedDict(loss=None, logits=x),
        lambda x: SimpleNamespace(loss=None, logits=x, attentions=None),
        lambda x: x[:, :, None, None],
        lambda x: (SimpleNamespace(logits=x[..., None]),),
    ],
)
def test_outputs_of_other_forms_become_logits(wrap):
    module = Around(wrap)
    entered = enter(module)
    assert torch.equal(entered(IMAGES), module.body(IMAGES))
    assert entered.state_dict().keys() == module.state_dict().keys()
    assert torch.equal(as_logits(module(IMAGES)), module.body(IMAGES))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda x: None,
        lambda x: {"out": x},
        lambda x: (),
        lambda x: x[:, 0],
        lambda x: x.long(),
        lambda x: x > 0,
        lambda x: {"logits": x.to(torch.complex64)},
    ],
)
def test_outputs_that_hold_no_logits_are_refused(wrap):
    with pytest.raises(wh.InputError, match="logits"):
        enter(Around(wrap))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_floats_become_float32_and_stay_tied(dtype):
    module = Around(other=nn.Linear(6, 4)).to(dtype)
    module.other.weight = module.body[6].weight
    entered = enter(module)
    assert {tensor.dtype for tensor in entered.parameters()} == {torch.float32}
    assert torch.equal(entered.body[0].weight, module.body[0].weight.float())
    assert entered.other.weight is entered.body[6].weight
    assert module.body[0].weight.dtype == dtype


@pytest.mark.parametrize(
    "wrapped",
    [
        nn.DataParallel,
        torch.compile,
        torch.optim.swa_utils.AveragedModel,
        lambda module: torch.compile(nn.DataParallel(module)),
        lambda module: nn.Sequential(OrderedDict(net=nn.DataParallel(torch.compile(module)))),
    ],
)
def test_wrappers_leave_no_names(wrapped):
    module = net()
    entered = enter(wrapped(module))
    assert {name.removeprefix("net.") for name in entered.state_dict()} == module.state_dict().keys()
    assert torch.equal(entered(IMAGES), module(IMAGES))


def test_masks_of_hooks_become_zeros():
    module = net()
    prune.l1_unstructured(module[0], "weight", 0.5)
    prune.random_unstructured(module[0], "weight", 0.5)
    prune.global_unstructured([(module[3], "weight"), (module[6], "bias")], prune.L1Unstructured, amount=9)
    expected = module(IMAGES)
    entered = enter(module)
    assert torch.equal(entered(IMAGES), expected)
    assert entered.state_dict().keys() == net().state_dict().keys()
    assert torch.equal(entered[0].weight == 0, module[0].weight_mask == 0)
    assert prune.is_pruned(module)


def test_other_parametrizations_are_named():
    module = net()
    finished = wh.Pruner(net(), "ep", sparsity=0.5, steps=2)
    with warnings.catch_warnings(action="ignore"):
        old = [nn.utils.weight_norm(net()[0]), nn.utils.spectral_norm(net()[3])]
    new = [parametrizations.weight_norm(net()[0]), parametrizations.orthogonal(net()[6])]
    for part, by in zip(
        [*old, *new], ["WeightNorm", "SpectralNorm", "WeightNorm", "Orthogonal"], strict=True
    ):
        with pytest.raises(wh.InputError, match=f"'1.weight' is computed by {by}"):
            enter(nn.Sequential(nn.Identity(), part))
    with pytest.raises(wh.InputError, match="finish"):
        enter(finished.module)
    finished.finish()
    enter(finished.module)
    parametrizations.weight_norm(module[0])
    parametrize.remove_parametrizations(module[0], "weight")
    enter(module)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("0.weight", torch.nan),
        ("3.bias", torch.inf),
        ("1.running_mean", -torch.inf),
        ("1.running_var", torch.nan),
        ("1.running_var", -1e-6),
    ],
)
def test_values_that_are_not_finite_are_refused(name, value):
    module = net()
    module.state_dict()[name].view(-1)[0] = value
    with pytest.raises(wh.InputError, match=f"{name!r} holds"):
        enter(module)


def test_doubles_beyond_float32_are_refused():
    module = net().double()
    module[0].weight.data[0] = 1e300
    with pytest.raises(wh.InputError, match="infinite"):
        enter(module)


class Keeping(Around):
    def get_extra_state(self):
        return self.kept

    def set_extra_state(self, state):
        self.kept = state


@pytest.mark.parametrize(
    ("module", "named"),
    [
        (lambda: nn.Sequential(nn.LazyConv2d(6, 3), nn.Flatten(), nn.LazyLinear(4)), "lazy"),
        (lambda: net().to("meta"), "has no values"),
        (lambda: net(channels=1), "cannot take images"),
        (lambda: Keeping(kept={"a": 1}), "extra state"),
        (lambda: Around(held=nn.Buffer(torch.eye(3).to_sparse())), "'held' is torch.float32, torch.sparse"),
        (lambda: Around(held=nn.Buffer(torch.ones(2, dtype=torch.complex64))), "complex"),
        (lambda: nn.Sequential, "not the class Sequential"),
        (lambda: "a.card", "not a str"),
        (lambda: None, "not a NoneType"),
    ],
)
def test_what_a_card_cannot_hold_is_named(module, named):
    with pytest.raises(wh.InputError, match=named):
        enter(module())


class InTraining(Around):
    """A network whose outputs are wrapped in training only."""

    def forward(self, x):
        return self.wrap(self.body(x)) if self.training else self.body(x)


def test_outputs_of_other_forms_in_training_become_logits():
    module = InTraining(lambda x: (x, x + 1))
    entered = entering(module, (8, 8), 4, trained=True)
    assert torch.equal(entered.eval()(IMAGES), module.eval()(IMAGES))
    assert isinstance(entered.train()(IMAGES), torch.Tensor)
    assert isinstance(module.train()(IMAGES), tuple)


@pytest.mark.parametrize(
    ("wrap", "named"),
    [
        (
            lambda x: x[:, :3],
            r"logits of shape \(2, 4\) in training, one per class, not \(2, 3\)",
        ),
        (lambda x: x.detach(), "do not depend on its weights"),
        (torch.no_grad()(lambda x: x.argmax(1)), "floating-point logits"),
    ],
)
def test_a_network_that_cannot_be_trained_is_refused_before_the_training(wrap, named):
    module = InTraining(wrap)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    assert enter(module) is module
    with pytest.raises(wh.InputError, match=named):
        entering(module, (8, 8), 4, trained=True)
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_a_try_in_training_leaves_statistics_and_random_numbers():
    module = nn.Sequential(net().train(), nn.Dropout())
    before, state = module[0][1].running_mean.clone(), torch.get_rng_state()
    assert entering(module, (8, 8), 4, trained=True) is module
    assert torch.equal(module[0][1].running_mean, before)
    assert torch.equal(torch.get_rng_state(), state)


def test_outputs_of_one_image_keep_the_batch():
    with pytest.raises(wh.InputError, match=r"1 image to logits of shape \(1, 4\), one per class, not \(4"):
        enter(Around(torch.squeeze))


def closing_over(module):
    old = module.forward
    return lambda x: old(x)


@pytest.mark.parametrize("own", [closing_over, lambda module: torch.compile(module.forward, backend="eager")])
def test_a_forward_that_would_not_follow_a_copy_is_refused(own):
    module = Around()
    module.body[3].forward = own(module.body[3])
    for take in (enter, copied):
        with pytest.raises(wh.InputError, match=r"'body\.3\.forward' was set on the module"):
            take(module)
    module.body[3].forward = type(module.body[3]).forward.__get__(module.body[3])
    assert enter(module) is module
    other = copied(module)
    assert other.body[3].forward.__self__ is other.body[3]


@pytest.mark.parametrize(
    "refer",
    [
        lambda module: module.register_forward_hook(lambda _, __, y: y + module[6].bias.sum() * 0),
        lambda module: module[2].register_forward_pre_hook(lambda _, x: x[0] * module[1].running_var.mean()),
    ],
)
def test_a_copy_that_computes_with_the_original_is_refused(refer):
    module = net()
    refer(module)
    with pytest.raises(wh.InputError, match=r"a copy of the network would still compute with '[16]\."):
        entering(module, (8, 8), 4, trained=True)


def test_a_module_that_holds_itself_is_refused():
    module = net()
    module[2].whole = module
    with pytest.raises(wh.InputError, match="holds itself"):
        enter(module)


class Marked(torch.Tensor):
    pass


def test_a_tensor_of_another_class_is_refused():
    module = net()
    module[0].weight = nn.Parameter(module[0].weight.detach().as_subclass(Marked))
    with pytest.raises(wh.InputError, match=r"'0\.weight' is of the class Marked"):
        enter(module)


def test_what_cannot_be_copied_is_shared():
    module = Around(lock=threading.Lock())
    module.wrap = module.add_one = lambda x: x + 1
    module.method = module.forward
    entered = enter(module.half())
    assert entered.lock is module.lock
    assert entered.method.__self__ is entered
    assert torch.equal(entered(IMAGES), module.float()(IMAGES))


def test_a_network_made_in_inference_mode_can_be_trained():
    with torch.inference_mode():
        entered = enter(net())
    entered(IMAGES).sum().backward()
    assert entered[0].weight.grad is not None


@pytest.mark.parametrize(
    "change",
    [
        lambda module: setattr(module, "fc", nn.Linear(module.fc.in_features, 11)),
        lambda module: setattr(module.conv1, "stride", (2, 2)),
        lambda module: setattr(module.conv1, "weight", nn.Parameter(module.conv1.weight[:1])),
        lambda module: setattr(module.bn1, "eps", 0.1),
        lambda module: setattr(module, "bn1", nn.Identity()),
    ],
)
def test_a_network_that_was_changed_keeps_no_name(change):
    module = network("resnet18", width=2)
    module.bn1.momentum = 0.01
    module.train().requires_grad_(False)
    assert architecture_of(module).name == "resnet18"
    change(module)
    assert architecture_of(module) is None
