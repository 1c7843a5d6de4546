"""C files, compiled by whatever C compiler there is, beside the models they are of."""

import ctypes
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import winninghand as wh
from tests.exports.conftest import made_card, noisy, smooth
from winninghand.base.device import to_bytes, to_unit
from winninghand.decks import share_body
from winninghand.engine.program import sources_of
from winninghand.engine.tracing import trace
from winninghand.exports import export
from winninghand.exports.c.file import c_name
from winninghand.exports.c.memory import planned

PAGE = Path(__file__).parents[2] / "docs/microcontroller.md"
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
needs_compiler = pytest.mark.skipif(not COMPILERS, reason="there is no C compiler")


def pixels(count, seed=0):
    """Images of few and of many colours by turns, uint8 (count, 16, 16, 3)."""
    both = torch.stack([smooth(count, seed), noisy(count, seed)], dim=1).flatten(0, 1)[:count]
    return to_bytes(both).contiguous()


def compiled(model, tmp_path):
    """Export and compile a model with each compiler; return the library that the last of them made."""
    # A library that is loaded twice from one path is not read again.
    place = Path(tempfile.mkdtemp(dir=tmp_path))
    export(model, place / "a.c")
    for compiler in COMPILERS:
        call = [compiler, *STRICT, "-O2", "-shared", "-fPIC", place / "a.c", "-o", place / "a.so", "-lm"]
        subprocess.run(call, check=True)
    return ctypes.CDLL(str(place / "a.so")), (place / "a.c").read_text()


def says(library, model, images):
    """Return the classes and the scores that C says of each image."""
    scores = np.zeros((len(images), len(model.classes)), np.float32)
    said = [
        library.a_predict(ctypes.c_void_p(image.data_ptr()), row.ctypes.data_as(ctypes.c_void_p))
        for image, row in zip(images, scores, strict=True)
    ]
    return said, torch.from_numpy(scores)


def check(model, tmp_path, images=None):
    """Compare C with the model, one image after the other; return the text of the C file."""
    images = pixels(6) if images is None else images
    library, text = compiled(model, tmp_path)
    said, scores = says(library, model, images)
    model.reset()
    expected = torch.cat([model.answer(to_unit(image[None])).outputs for image in images])
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-4)
    assert said == scores.argmax(dim=1).tolist()
    if "_reset" in text:
        library.a_reset()
        torch.testing.assert_close(says(library, model, images)[1], expected, rtol=0, atol=1e-4)
    return text


@needs_compiler
@pytest.mark.parametrize("form", [None, "fp16", "int8", "int4", "binary"])
def test_a_card_says_the_same_in_every_form_of_its_weights(card, form, tmp_path):
    text = check(card if form is None else card.quantized(form), tmp_path)
    reader = {None: "float", "fp16": "half", "int8": "byte", "int4": "nibble", "binary": "sign"}[form]
    assert re.findall(r"static float next_(\w+)\(", text) == [reader]


class Everything(nn.Module):
    """All kinds of steps, each with numbers of its own."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 5, 2, 2, bias=False), nn.BatchNorm2d(8), nn.Hardswish())
        self.apart = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8)
        self.squeeze = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 4, 1), nn.SiLU(), nn.Conv2d(4, 8, 1), nn.Hardsigmoid()
        )
        self.groups = nn.Conv2d(16, 16, (3, 1), (2, 1), (1, 0), groups=4)
        self.norm = nn.LayerNorm(16)
        self.last = nn.Sequential(nn.Linear(16 * 2 * 4, 16), nn.Tanh(), nn.Linear(16, 4), nn.LeakyReLU(0.2))

    def forward(self, x):
        x = nn.functional.relu6(self.apart(self.first(x)))
        squeezed = self.squeeze(x)
        x = x * squeezed
        x = torch.cat([x, nn.functional.max_pool2d(x, 3, 1, 1)], dim=1)
        x = x.view(-1, 2, 8, 8, 8).transpose(1, 2).flatten(1, 2)
        x = nn.functional.gelu(self.groups(x)) + torch.sigmoid(torch.cat([squeezed, squeezed], dim=1))
        x = self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        x = nn.functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        x = nn.functional.gelu(nn.functional.avg_pool2d(x, (1, 3), 1, (0, 1)), approximate="tanh")
        return self.last(x.flatten(1))


@needs_compiler
def test_every_kind_of_step_says_the_same(tmp_path):
    check(wh.Card.from_module(Everything(), list("abcd"), (16, 16), std=(0.3, 0.3, 0.3)), tmp_path)


@needs_compiler
@pytest.mark.parametrize("kept", [0.0, 0.002, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("form", [None, "int8", "binary"])
def test_weights_of_any_density_are_read_again(kept, form, tmp_path):
    module = nn.Sequential(nn.Conv2d(3, 9, 3), nn.ReLU(), nn.Flatten(), nn.Linear(9 * 14 * 14, 4))
    with torch.no_grad():
        for weight in (module[0].weight, module[3].weight):
            weight.mul_(torch.rand(weight.shape) < kept).add_(0.0)
    card = wh.Card.from_module(module, list("abcd"), (16, 16))
    check(card if form is None else card.quantized(form), tmp_path, pixels(2))


SCORES = {"slopes": [[1.0] * 4, [-1.0, 1.0, 0.0, 1.0]], "offsets": [0.5, 0.0], "inputs": "features"}


@needs_compiler
@pytest.mark.parametrize(
    ("gate", "settings"),
    [
        ("average", {}),
        ("spectral", {}),
        ("spectral_image", {"confidence": 0.9}),
        ("weighted", {"temperature": 2.0}),
        ("weighted", {"max_active": 1}),
        ("stream", {"forgetting": 0.3}),
        ("features", {"scores": SCORES}),
    ],
)
def test_a_deck_says_the_same_under_its_gate(deck, gate, settings, tmp_path):
    check(deck.with_gate(gate, **settings), tmp_path)


@needs_compiler
def test_cards_of_one_body_share_its_tables_and_keep_their_norms(tmp_path):
    one = made_card("resnet18", 3, smooth(32, 1), width=4)
    other = wh.Card(*made_card("resnet18", 3, noisy(32, 1), width=4).parts)
    with torch.no_grad():
        for part in other.network.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.weight.uniform_(0.5, 1.5)
    both = wh.Deck(share_body([one, other]), "spectral_image")
    check(both, tmp_path)
    shared = export(both, tmp_path / "b.c").constants
    alone = export(one, tmp_path / "c.c").constants
    assert shared < 1.5 * alone
    check(wh.Deck([one, made_card("resnet18", 4, noisy(32, 1), width=4)], "spectral_image"), tmp_path)


@needs_compiler
def test_larger_images_have_their_spectrum_averaged(tmp_path):
    def made(images):
        module = nn.Sequential(nn.Conv2d(3, 4, 9, 8), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten())
        profile = wh.spectra.SpectralProfile.of(images)
        return wh.Card.from_module(module, list("abcd"), (40, 72), profile=profile)

    flat, rough = torch.rand(8, 3, 1, 1).expand(8, 3, 40, 72), torch.rand(8, 3, 40, 72)
    deck = wh.Deck([made(flat + 0.1 * rough), made(rough)], "weighted", temperature=3.0)
    check(deck, tmp_path, to_bytes(torch.cat([rough[:2], 0.9 * flat[:2]])).contiguous())


RUNNERS = {
    "here": [COMPILERS[0] if COMPILERS else "gcc"],
    "valgrind": [COMPILERS[0] if COMPILERS else "gcc", "valgrind", "-q", "--error-exitcode=1"],
    "arm": ["arm-linux-gnueabihf-gcc", "qemu-arm", "-L", "/usr/arm-linux-gnueabihf"],
}


@pytest.mark.parametrize("place", RUNNERS)
def test_the_program_of_the_page_says_what_the_card_says(place, tmp_path):
    compiler, *runner = RUNNERS[place]
    missing = [name for name in (compiler, *runner[:1]) if not shutil.which(name)]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    card = wh.load("zoo:cifar10-bp95-clean")
    file = export(card, tmp_path / "model.c")
    (tmp_path / "main.c").write_text(re.findall(r"```c\n(.*?)```", PAGE.read_text(), re.DOTALL)[0])
    call = [compiler, *STRICT, "-O2", "main.c", "model.c", "-o", "classify", "-lm"]
    subprocess.run(call, cwd=tmp_path, check=True)
    images = torch.nn.functional.interpolate(smooth(2), size=32)
    bytes_ = to_bytes(images).contiguous()
    said = subprocess.run(
        [*runner, "./classify"], cwd=tmp_path, input=bytes_.numpy().tobytes(), capture_output=True, check=True
    )
    best = card(to_unit(bytes_)).detach().max(dim=1)
    for line, number, score in zip(said.stdout.splitlines(), best.indices, best.values, strict=True):
        assert int(line.split()[0]) == number
        assert float(line.split()[1]) == pytest.approx(float(score), abs=1e-4)
    # What it says of itself: all of its RAM, and all constants of its flash.
    if place == "arm":
        size = compiler.replace("gcc", "size")
        subprocess.run([compiler, "-Os", "-c", "model.c"], cwd=tmp_path, check=True)
        told = subprocess.run([size, "model.o"], cwd=tmp_path, capture_output=True, check=True, text=True)
        text, data, bss = map(int, told.stdout.splitlines()[1].split()[:3])
        assert bss == file.ram
        assert file.constants < text + data < file.constants + 4096


def test_values_that_are_needed_at_one_time_do_not_meet(card):
    for made in (card, wh.Card.from_module(Everything(), list("abcd"), (16, 16))):
        program = trace(made)
        memory = planned(program)
        taken = {0: (memory.places[0], program.shapes[0])}
        for index, step in enumerate(program.steps):
            start = memory.places[step.output]
            end = start + int(np.prod(program.shapes[step.output]))
            for number in [one for one in taken if program.last_uses[one] > index]:
                first, shape = taken[number]
                assert end <= first or first + int(np.prod(shape)) <= start
            taken[step.output] = (start, program.shapes[step.output])
            assert end <= memory.size
            assert set(sources_of(step)) <= set(taken)
    # Of a residual network, two values of the size of the largest.
    assert planned(trace(card)).size == 2 * 4 * 16 * 16


def test_names_and_classes_become_what_c_takes(card, tmp_path):
    names = {"my model-2": "my_model_2", "2": "model_2", "ä": "model", "_a": "a"}
    assert {name: c_name(name) for name in names} == names
    odd = card.with_metadata(classes=("*/ int x;", "/*", "naïve", "a??/"))
    export(odd, tmp_path / "my-model.c")
    text = (tmp_path / "my-model.c").read_text(encoding="ascii")
    assert "\nint my_model_predict(const unsigned char *rgb, float *scores);" in text
    comment = text[: text.index("*/")]
    assert comment.count("/*") == 1
    assert "na\\xefve" in comment


def test_what_c_cannot_do_is_refused_and_leaves_nothing(card, deck, tmp_path):
    class Strange(nn.Linear):
        def forward(self, x):
            return super().forward(x.mean(dim=(2, 3))).cumsum(dim=1)

    strange = wh.Card.from_module(Strange(3, 3), list("abc"), (16, 16))
    for model, words in [
        (strange, "cannot be written in C: .*cumsum"),
        (deck.with_gate("spectral", distance="l1"), "l2 distance"),
    ]:
        with pytest.raises(wh.InputError, match=words):
            export(model, tmp_path / "a.c")
    with pytest.raises(wh.InputError, match="are quantized and have an opset"):
        export(card, tmp_path / "a.c", opset=20)
    assert list(tmp_path.iterdir()) == []
