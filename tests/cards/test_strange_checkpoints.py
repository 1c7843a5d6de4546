"""Checkpoints of strangers: averaged ones are read, others refused in one line, before they take memory."""

import time
import zipfile

import pytest
import torch
from safetensors.torch import save_file

import winninghand as wh
from winninghand.cards.importing import Import, Subnetwork, import_cards


def state():
    torch.manual_seed(0)
    module = wh.network("resnet20", width=2)
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            torch.nn.init.uniform_(tensor, 0.1, 1.0)
    return dict(module.state_dict())


def imported(content, tmp_path, **wanted):
    torch.save(content, tmp_path / "a.pt")
    (card,) = import_cards(tmp_path / "a.pt", Import("resnet20", **wanted))
    return card


def test_averaged_weights_are_read(tmp_path):
    averaged = torch.optim.swa_utils.AveragedModel(wh.network("resnet20", width=2))
    expected = averaged.module.fc.weight
    for content in (
        averaged.state_dict(),
        {"state_dict_ema": averaged.module.state_dict(), "epoch": 3},
        {"model_ema": averaged.state_dict()},
        {"ema": {"n_averaged": 7, **{f"module.{k}": v for k, v in averaged.module.state_dict().items()}}},
    ):
        assert torch.equal(imported(content, tmp_path).network.fc.weight, expected)
    both = {"state_dict": state(), "state_dict_ema": averaged.module.state_dict()}
    assert torch.equal(imported(both, tmp_path).network.fc.weight, both["state_dict"]["fc.weight"])


def holding_itself():
    content = {"a": torch.zeros(1)}
    content["state_dict"] = content
    return content


def holding_each_other():
    one, other = {}, {}
    one["model"], other["net"] = other, one
    return one


def deep(depth):
    content = state()
    for _ in range(depth):
        content = {"model": content}
    return content


def renamed(change):
    return {change(name): tensor for name, tensor in state().items()}


def changed(name, change):
    content = state()
    content[name] = change(content[name])
    return content


def at(tensor, value):
    tensor.view(-1)[0] = value
    return tensor


SCORES = {"conv1.scores": torch.full((2, 3, 3, 3), torch.nan)}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (holding_itself, "holds itself"),
        (holding_each_other, "holds itself"),
        (lambda: deep(9), "8 dictionaries deep"),
        (lambda: renamed(lambda name: 2000 * "module." + name), "prefixes"),
        (lambda: renamed(lambda name: f"models.{5000 * '9'}.{name}"), "lacks"),
        (lambda: renamed(lambda name: f"models.0.{2000 * 'net.'}{name}"), "prefixes"),
        (
            lambda: state() | {f"module.{name}": tensor for name, tensor in state().items()},
            "two of its tensors",
        ),
        (lambda: {f"models.{n}.fc.weight": torch.zeros(1) for n in range(300)}, "at most 256"),
        (lambda: state() | {"n": torch.nested.nested_tensor([torch.zeros(1), torch.zeros(2)])}, "nested"),
        (lambda: changed("fc.weight", lambda one: one.to(torch.int8)), r"'fc.weight' is torch.int8"),
        (lambda: changed("conv1.weight", lambda one: one.long()), r"'conv1.weight' is torch.int64"),
        (lambda: changed("fc.weight", lambda one: one > 0), r"'fc.weight' is torch.bool"),
        (lambda: changed("conv1.weight", lambda one: at(one, torch.nan)), r"'conv1.weight' holds"),
        (lambda: changed("fc.bias", lambda one: at(one, -torch.inf)), r"'fc.bias' holds"),
        (lambda: changed("fc.weight", lambda one: at(one.double(), 1e300)), r"'fc.weight' holds"),
        (lambda: changed("bn1.running_var", lambda one: at(one, -1.0)), "negative variance"),
        (lambda: changed("bn1.running_mean", lambda one: at(one, torch.nan)), "'bn1.running_mean' holds"),
        (lambda: state() | {"mu": torch.full((3,), torch.nan), "sigma": torch.ones(3)}, "cannot normalise"),
        (lambda: state() | {"mu": torch.zeros(3), "sigma": torch.full((3,), 1e-30)}, "std"),
        (lambda: state() | {"conv1.weight_mask": torch.full((2, 3, 3, 3), 0.5)}, "conv1.weight_mask"),
        (
            lambda: {
                **{name: one for name, one in state().items() if name != "conv1.weight"},
                "conv1.weight_orig": torch.ones(2, 3, 3, 3),
                "conv1.weight_mask": torch.full((2, 3, 3, 3), 0.5),
            },
            "other values than 0 and 1",
        ),
    ],
)
def test_others_are_refused_in_one_line(tmp_path, content, said):
    with pytest.raises(wh.InputError, match=said) as caught:
        imported(content(), tmp_path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 2100


def test_scores_are_finite_and_leave_something(tmp_path):
    with pytest.raises(wh.InputError, match="scores"):
        imported(state() | SCORES, tmp_path, subnetwork=Subnetwork("ep", 0.5))
    scores = {"conv1.scores": torch.ones(2, 3, 3, 3)}
    with pytest.raises(wh.InputError, match="leaves no weight"):
        imported(state() | scores, tmp_path, subnetwork=Subnetwork("ep", 0.9999))
    for sparsity in (1, 1.5, -0.1, torch.nan):
        with pytest.raises(wh.InputError, match=r"\[0, 1\)"):
            Subnetwork("bp", sparsity)


def test_a_compressed_checkpoint_is_refused_before_it_is_inflated(tmp_path):
    torch.save({"fc.weight": torch.zeros(1 << 20)}, tmp_path / "plain.pt")
    with (
        zipfile.ZipFile(tmp_path / "plain.pt") as plain,
        zipfile.ZipFile(tmp_path / "a.pt", "w", zipfile.ZIP_DEFLATED) as deflated,
    ):
        for record in plain.infolist():
            deflated.writestr(record.filename, plain.read(record))
    assert (tmp_path / "a.pt").stat().st_size < 10_000
    with pytest.raises(wh.InputError, match="compressed"):
        import_cards(tmp_path / "a.pt", Import("resnet20"))


def test_numbers_of_one_hash_are_refused_before_they_are_keys(tmp_path):
    torch.save({**state(), "random": list(range(2**40, 2**40 + 4000))}, tmp_path / "a.pt")
    import_cards(tmp_path / "a.pt", Import("resnet20"))
    keys = b"".join(b"\x8a\x0a%bN" % (n * (2**61 - 1)).to_bytes(10, "little") for n in range(60_000))
    with zipfile.ZipFile(tmp_path / "a.pt") as whole, zipfile.ZipFile(tmp_path / "b.pt", "w") as made:
        for record in whole.infolist():
            pickled = record.filename.endswith("/data.pkl")
            made.writestr(record.filename, b"\x80\x02}(" + keys + b"u." if pickled else whole.read(record))
    started = time.process_time()
    with pytest.raises(wh.InputError, match="more than 4,096 numbers beyond 32 bits"):
        import_cards(tmp_path / "b.pt", Import("resnet20"))
    assert time.process_time() - started < 1


def test_values_that_are_not_finite_are_refused_in_safetensors_too(tmp_path):
    save_file(changed("fc.weight", lambda one: at(one, torch.inf)), tmp_path / "a.safetensors")
    with pytest.raises(wh.InputError, match=r"'fc.weight' holds"):
        import_cards(tmp_path / "a.safetensors", Import("resnet20"))
