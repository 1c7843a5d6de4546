from __future__ import annotations

import pickle

import pytest
import torch
from safetensors.torch import save_file

import winninghand as wh
from winninghand.cards.codec.tensors import unpack_index
from winninghand.cards.container import read_streams
from winninghand.cards.importing import Import, Subnetwork, import_cards
from winninghand.cards.importing.published import CIFAR10, CIFAR100
from winninghand.decks.importing import import_model

LRR = Import("card_lrr")
IMAGES = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def small(name="card_lrr", seed=0, **settings):
    torch.manual_seed(seed)
    module = wh.network(name, **{"width": 2, **settings})
    for parameter in module.parameters():  # so that no two parameters are alike, biases and norms included
        torch.nn.init.normal_(parameter, std=0.1)
    return module.eval()


def kept(content, tmp_path):
    torch.save(content, tmp_path / "a.pt")
    return tmp_path / "a.pt"


def assert_same_weights(card, state):
    assert card.network.state_dict().keys() == state.keys()
    for name, tensor in card.network.state_dict().items():
        assert torch.equal(tensor, state[name]), name


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: state,
        lambda state: {"epoch": 3, "arch": "x", "state_dict": state, "optimizer": {"lr": 0.1}},
        lambda state: {"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}},
        lambda state: {"net": {f"module.model.{name}": tensor for name, tensor in state.items()}},
        lambda state: {
            name: tensor.to_sparse() if tensor.ndim == 4 else tensor for name, tensor in state.items()
        },
        lambda state: {name: tensor for name, tensor in state.items() if "batches_tracked" not in name},
    ],
    ids=["plain", "state_dict", "parallel", "twice", "sparse", "no-counters"],
)
def test_weights_come_out_of_their_wrapping(wrapped, tmp_path):
    module = small()
    (card,) = import_cards(kept(wrapped(module.state_dict()), tmp_path), LRR)
    assert_same_weights(card, module.state_dict())
    assert card.metadata.architecture == {"name": "card_lrr", "width": 2, "classes": 10}


def test_safetensors_are_read_and_halves_widened(tmp_path):
    module = small("resnet20")
    save_file(
        {name: tensor.half() for name, tensor in module.state_dict().items()}, tmp_path / "a.safetensors"
    )
    (card,) = import_cards(tmp_path / "a.safetensors", Import("resnet20"))
    assert torch.equal(card.network.fc.weight, module.fc.weight.half().float())
    assert card(IMAGES).dtype == torch.float32
    assert card.classes[:2] == ("0", "1")
    assert card.metadata.mean == (0, 0, 0)


@pytest.mark.parametrize("task", [CIFAR10, CIFAR100], ids=["cifar10", "cifar100"])
@pytest.mark.parametrize("name", ["card_lrr", "card_binary"])
def test_published_families_know_their_classes_and_normalisation(name, task, tmp_path):
    module = small(name, classes=len(task.classes))
    (card,) = import_cards(kept(module.state_dict(), tmp_path), Import(name))
    assert card.classes == task.classes
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (task.mean, task.std))
    torch.testing.assert_close(card(IMAGES), module((IMAGES - mean) / std))


def test_normalisation_in_the_file_counts_unless_another_is_given(tmp_path):
    state = small().state_dict() | {
        "mu": torch.full((1, 3, 1, 1), 0.491),
        "sigma": torch.full((1, 3, 1, 1), 0.3),
    }
    path = kept(state, tmp_path)
    (card,) = import_cards(path, LRR)
    assert (card.metadata.mean, card.metadata.std) == ((0.491,) * 3, (0.3,) * 3)
    (card,) = import_cards(path, Import("card_lrr", mean=(0.1, 0.2, 0.3)))
    assert (card.metadata.mean, card.metadata.std) == ((0.1, 0.2, 0.3), (0.3,) * 3)


def test_a_deck_averages_its_networks_whether_in_one_file_or_in_several(tmp_path):
    modules = [small(seed=seed) for seed in range(3)]
    state = {
        f"models.{n}.{key}": value for n, one in enumerate(modules) for key, value in one.state_dict().items()
    }
    together = import_model([kept(state, tmp_path)], LRR)
    paths = []
    for number, module in enumerate(modules):
        paths.append(tmp_path / f"m{number}.pt")
        torch.save(module.state_dict(), paths[-1])
    apart = import_model(paths, LRR)
    assert together.gate == "average"
    expected = torch.stack([card(IMAGES).softmax(1) for card in together.cards]).mean(0).log()
    torch.testing.assert_close(together(IMAGES), expected)
    assert torch.equal(together(IMAGES), apart(IMAGES))
    together.save(tmp_path / "a.deck")
    assert torch.equal(wh.load(tmp_path / "a.deck")(IMAGES), together(IMAGES))


def test_binary_weights_stored_as_floats_are_written_as_binary(tmp_path):
    module = small("card_binary")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in module.parameters():
            alive = torch.rand(weight.shape, generator=generator) < 0.2
            weight.copy_(weight.sign() * alive * weight.abs().mean())
    (card,) = import_cards(kept(module.state_dict(), tmp_path), Import("card_binary"))
    card.save(tmp_path / "a.card")
    entries = unpack_index(read_streams(tmp_path / "a.card")[1]["index"].numpy())
    kinds = {entry.name.removeprefix("network."): entry.kind for entry in entries}
    assert {kinds[name] for name in card.metadata.prunable} == {"binary"}
    assert_same_weights(wh.load(tmp_path / "a.card"), module.state_dict())


def test_masks_beside_weights_are_applied(tmp_path):
    module = small()
    masks = {
        name: torch.rand_like(weight) < 0.3 for name, weight in module.named_parameters() if weight.ndim > 1
    }
    state = module.state_dict()
    expected = {name: tensor * masks[name] if name in masks else tensor for name, tensor in state.items()}
    lth = {f"model.{name}": tensor for name, tensor in state.items()}
    lth |= {"mask_" + name.replace(".", "___"): mask.float() for name, mask in masks.items()}
    pruned = {f"{name}_orig" if name in masks else name: tensor for name, tensor in state.items()}
    pruned |= {f"{name}_mask": mask.float() for name, mask in masks.items()}
    for content in (lth, pruned):
        (card,) = import_cards(kept(content, tmp_path), LRR)
        assert_same_weights(card, expected)


def with_scores(module):
    state = module.state_dict()
    scores = {
        name.replace(".weight", ".scores"): torch.randn_like(weight)
        for name, weight in module.named_parameters()
        if weight.ndim > 1
    }
    return state, scores


def test_scores_beside_weights_that_are_pruned_already_say_nothing(tmp_path):
    module = small("card_binary")
    with torch.no_grad():
        module.layer1[0].conv1.weight[0] = 0
    state, scores = with_scores(module)
    (card,) = import_cards(kept(state | scores, tmp_path), Import("card_binary"))
    assert_same_weights(card, state)


@pytest.mark.parametrize("scope", ["global", "layerwise"])
def test_scores_make_the_subnetwork_that_biprop_makes(scope, tmp_path):
    state, scores = with_scores(small("card_binary"))
    kind = {"global": "GlobalSubnetConv", "layerwise": "SubnetConv"}[scope]
    content = {"conv_type": kind, "prune_rate": 0.25, "state_dict": state | scores}
    (card,) = import_cards(kept(content, tmp_path), Import("card_binary"))
    everywhere = torch.cat([score.abs().flatten() for score in scores.values()])
    for name, score in scores.items():
        weight = state[name.replace(".scores", ".weight")]
        ranked = everywhere if scope == "global" else score.abs().flatten()
        removed = round(0.75 * len(ranked)) if scope == "global" else int(0.75 * len(ranked))
        mask = score.abs() >= ranked.sort().values[removed]
        alpha = (weight.abs() * mask).sum() / mask.sum()
        found = card.network.state_dict()[name.replace(".scores", ".weight")]
        torch.testing.assert_close(found, alpha * weight.sign() * mask)


def test_scores_of_edge_popup_need_to_be_told_what_they_mean(tmp_path):
    state, scores = with_scores(small("card_binary"))
    path = kept(state | scores, tmp_path)
    with pytest.raises(wh.InputError, match="--scores"):
        import_cards(path, Import("card_binary"))
    (card,) = import_cards(path, Import("card_binary", subnetwork=Subnetwork("ep", 0.5)))
    found = card.network.fc.weight
    assert torch.equal(found[found != 0], state["fc.weight"][found != 0])
    assert sum(
        int(card.network.get_parameter(name).count_nonzero()) for name in card.metadata.prunable
    ) == round(sum(score.numel() for score in scores.values()) / 2)


class Spiteful:
    def __reduce__(self):
        return exec, ("raise SystemExit('code from a checkpoint ran')",)


def beyond_its_shape():
    place = torch.tensor([[1 << 40], [0]])
    return torch.sparse_coo_tensor(place, torch.ones(1), (10, 16), check_invariants=False)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda state: {"state_dict": state, "args": Spiteful()}, "would mean to run its code"),
        (lambda state: small(), "would mean to run its code"),
        (lambda state: state | {"fc.weight": beyond_its_shape()}, "damaged"),
        (lambda state: [1, 2], "no state dict"),
        (lambda state: {"epoch": 1}, "no state dict"),
        (
            lambda state: {k: v for k, v in state.items() if k != "layer2.0.bn1.bias"},
            "lacks 'layer2.0.bn1.bias'",
        ),
        (lambda state: state | {"layer5.weight": torch.ones(2)}, "holds 'layer5.weight'"),
        (lambda state: state | {"bn1.weight": torch.ones(3)}, r"'bn1.weight' is \(3,\) in it and \(2,\)"),
        (lambda state: state | {"conv1.weight": torch.ones(1, 1).expand(1 << 20, 1 << 20)}, "larger tensors"),
        (lambda state: state | {"bn1.weight": torch.ones(2, dtype=torch.complex64)}, "complex64"),
        (lambda state: state | {"mask_fc___weight": torch.ones(3)}, "its mask or scores"),
        (lambda state: state | {"fc.scores": torch.ones(3)}, "its mask or scores"),
        (lambda state: state | {"mu": torch.zeros(3), "sigma": torch.zeros(3)}, "cannot normalise"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line_that_names_it(content, reason, tmp_path):
    path = kept(content(small().state_dict()), tmp_path)
    with pytest.raises(wh.InputError, match=reason) as refusal:
        import_cards(path, LRR)
    assert "a.pt" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_files_that_are_no_checkpoints_are_refused(tmp_path):
    whole = kept(small().state_dict(), tmp_path).read_bytes()
    pickled = pickle.dumps(Spiteful())
    for number, content in enumerate((b"", b"\x80", whole[:1000], pickled, bytes(8) + b"{broken", bytes(99))):
        path = tmp_path / f"{number}.pt"
        path.write_bytes(content)
        with pytest.raises(wh.InputError, match=f"cannot import .*{number}.pt"):
            import_cards(path, LRR)
    with pytest.raises(wh.InputError, match="no such file"):
        import_cards(tmp_path / "absent.pt", LRR)


def test_settings_that_shapes_do_not_tell_are_given(tmp_path):
    path = kept(small("conv4", input_size=16, classes=3).state_dict(), tmp_path)
    (card,) = import_cards(path, Import("conv4", {"input_size": 16}, classes=["a", "b", "c"]))
    assert card.metadata.input_size == (16, 16)
    assert card.classes == ("a", "b", "c")
    with pytest.raises(wh.InputError, match="check --architecture and --set"):
        import_cards(path, Import("conv4"))
    with pytest.raises(wh.InputError, match="3 classes"):
        import_cards(path, Import("conv4", {"input_size": 16}, classes=["a"]))
