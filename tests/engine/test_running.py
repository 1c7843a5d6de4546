"""The engine computes what the program means, however images, parts and threads are laid out."""

import itertools
import os
import random
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import llvmlite.binding
import numpy as np
import pytest
import torch
from torch.nn import functional

from winninghand.engine import team
from winninghand.engine.layout import Grid, Place, moves
from winninghand.engine.program import (
    Activation,
    Affine,
    ChannelNorm,
    Channels,
    Combine,
    Concatenate,
    Convolution,
    Levels,
    Pointwise,
    Pool,
    Program,
    interpret,
    result_of,
)
from winninghand.engine.quantizing import ByteConvolution, ByteProgram, Quantize, quantized
from winninghand.engine.running import SparseRunner
from winninghand.engine.vectors import BYTES, DOTS_OF_BYTES, LANES

ROOT = Path(__file__).parents[2]


class Builder:
    """Writes a program step by step, with random weights of which few are not zero."""

    def __init__(self, size, seed=0, cards=1, density=0.3):
        self.random = np.random.default_rng(seed)
        self.shapes, self.steps, self.cards, self.density = [(3, *size)], [], cards, density

    def tensor(self, *shape):
        return torch.from_numpy(self.random.standard_normal(shape).astype(np.float32))

    def value(self, channels, height, width):
        self.shapes.append((channels, height, width))
        return len(self.shapes) - 1

    def norms(self, channels, alike=False):
        rows = 1 if alike else self.cards
        return self.tensor(rows, channels).abs() + 0.5, self.tensor(rows, channels) * 0.1

    def convolution(self, source, channels, kernel=3, stride=1, padding=None, groups=1, dilation=1, **more):
        inputs, *sizes = self.shapes[source]
        kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
        stride = (stride, stride) if isinstance(stride, int) else stride
        padding = tuple(size // 2 * dilation for size in kernel) if padding is None else padding
        out = [
            (size + 2 * pad - dilation * (k - 1) - 1) // step + 1
            for size, pad, k, step in zip(sizes, padding, kernel, stride, strict=True)
        ]
        weight = self.tensor(channels, inputs // groups, *kernel) / (inputs * kernel[0] * self.density) ** 0.5
        weight *= torch.from_numpy(self.random.random(weight.shape) < self.density)
        output = self.value(channels, *out)
        scales, biases = self.norms(channels, self.random.random() < 0.3)
        step = Convolution(
            f"{output}.weight", source, output, weight, scales, biases, stride, padding, (dilation, dilation),
            groups, **more,
        )  # fmt: skip
        self.steps.append(step)
        return output

    def pool(self, kind, source, kernel, stride, padding=0, counts=False):
        channels, *sizes = self.shapes[source]
        out = [(size + 2 * padding - kernel) // stride + 1 for size in sizes]
        output = self.value(channels, *out)
        pads = (padding, padding)
        self.steps.append(Pool(kind, source, output, (kernel, kernel), (stride, stride), pads, counts))
        return output

    def mean(self, source, kind="average"):
        channels, *sizes = self.shapes[source]
        output = self.value(channels, 1, 1)
        self.steps.append(Pool(kind, source, output, tuple(sizes), tuple(sizes)))
        return output

    def add(self, kind, *arguments, like, channels=None, **more):
        """Add a step whose output has the size of a value that is there."""
        shape = self.shapes[like]
        output = self.value(channels or shape[0], *shape[1:])
        self.steps.append(kind(*arguments, output, **more))
        return output

    def finish(self, value, classes=5):
        """End with a linear layer on the whole of a value."""
        sizes = self.shapes[value][1:]
        output = self.convolution(value, classes, kernel=sizes, stride=1, padding=(0, 0))
        return Program(tuple(self.steps), tuple(self.shapes), output, self.cards)


RELU = Activation("relu")


def residual(size=(32, 32), **more):
    """A ResNet: normalisation, residual blocks, strides, a global mean."""
    build = Builder(size, **more)
    value = build.value(3, *size)
    build.steps.append(Affine(0, value, *build.norms(3, alike=True)))
    value = build.convolution(value, 8, activation=RELU)
    for channels, stride in ((8, 1), (16, 2), (24, 2)):
        inner = build.convolution(value, channels, stride=stride, activation=RELU)
        short = value if stride == 1 else build.convolution(value, channels, 1, stride)
        value = build.convolution(inner, channels, addend=short, activation=RELU)
    return build.finish(build.mean(value))


def mobile(size=(24, 40)):
    """Depthwise and grouped kernels, squeeze and excitation, and every activation."""
    build = Builder(size, density=0.6)
    value = build.convolution(0, 16, stride=2, activation=Activation("hardswish"))
    value = build.convolution(value, 16, 5, groups=16, activation=Activation("clamp", 0.0, 6.0))
    gate = build.convolution(build.mean(value), 4, 1, activation=Activation("silu"))
    gate = build.convolution(gate, 16, 1, activation=Activation("hardsigmoid"))
    value = build.add(Combine, "multiply", value, gate, channels=16, like=value)
    for name in ("leaky_relu", "sigmoid", "tanh", "gelu", "gelu_tanh"):
        activation = Activation(name, slope=0.1)
        value = build.convolution(value, 16, 3, groups=4, activation=activation)
    value = build.add(Pointwise, value, like=value, activation=Activation("clamp", -0.5, 0.5))
    return build.finish(build.mean(value))


def varied(size=(29, 23)):
    """Odd sizes, dilation, poolings, concatenation, shuffles, layer norm, and a flattened end."""
    build = Builder(size)
    value = build.convolution(0, 12, 7, stride=2)
    value = build.pool("max", build.convolution(value, 12, addend=build.pool("max", value, 3, 1, 1)), 3, 2, 1)
    left = build.convolution(value, 8, (3, 1), dilation=1, padding=(1, 0))
    right = build.convolution(value, 8, 3, padding=(2, 2), dilation=2)
    value = build.add(Concatenate, (left, right), channels=16, like=left)
    shuffled = build.value(*build.shapes[value])
    build.steps.append(Channels(value, shuffled, tuple(range(16))[::-1]))
    normed = build.value(*build.shapes[value])
    build.steps.append(ChannelNorm(shuffled, normed, *build.norms(16), 1e-5))
    value = build.pool("average", normed, 3, 1, 1)
    value = build.pool("average", value, 2, 2, 1, counts=True)
    value = build.add(Combine, "add", value, value, activation=RELU, like=value)
    value = build.convolution(value, 8, 4, stride=3, padding=(1, 1))
    return build.finish(value)


def plain(size=(32, 32)):
    """A VGG: poolings down to one place, then linear layers."""
    build = Builder(size, density=0.2)
    value = 0
    for channels in (8, 8, 12, 12):
        value = build.convolution(value, channels, activation=RELU)
        value = build.pool("max", value, 2, 2)
    value = build.convolution(value, 32, kernel=(2, 2), padding=(0, 0), activation=RELU)
    return build.finish(build.convolution(value, 16, 1, activation=RELU))


@pytest.mark.parametrize("make", [residual, mobile, varied, plain])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_runner_computes_what_the_program_means(make, threads):
    program = make()
    images = torch.rand(19, *program.input_shape)
    expected = interpret(program, images)
    runner = SparseRunner(program, threads)
    for size in (1, 2, 7, 19):
        answers = runner.run(images[:size].numpy())
        np.testing.assert_allclose(answers, expected[:size], atol=2e-5 * expected.abs().max().item(), rtol=0)


def test_each_image_has_the_norms_of_its_card():
    program = residual(cards=3)
    images, cards = torch.rand(11, *program.input_shape), torch.tensor([0, 1, 2, 2, 1, 0, 0, 2, 1, 1, 0])
    expected = interpret(program, images, cards)
    for threads in (1, 2):
        answers = SparseRunner(program, threads).run(images.numpy(), cards.numpy())
        np.testing.assert_allclose(answers, expected, atol=1e-5 * expected.abs().max().item(), rtol=0)


def test_border_holds_the_neighbours_edges():
    place, grid = Place(1, 5, 4, 3, 2, above=1, left=1, right=1), Grid(LANES // 4, 2, 2)
    offsets, masks = moves(place, grid)
    # The bottom right part: above it is the upper right one, to its left the lower left one.
    lane = 3 * grid.images
    where = {
        (to - place.corner): (origin - place.corner, mask)
        for (to, origin), mask in zip(offsets, masks, strict=True)
    }
    origin, mask = where[-place.pitch]
    assert mask[lane] == 1 and origin == 2 * place.pitch - 4 * 2 * grid.images
    origin, mask = where[-BYTES]
    assert mask[lane] == 1 and origin == BYTES - 4 * grid.images
    assert where[2 * BYTES][1][lane] == 0  # to the right the image ends
    assert where[2 * place.pitch][1][lane] == 0  # the image has five rows; the sixth stays empty


def test_one_runner_answers_several_threads_and_a_forked_process():
    program = residual((16, 16))
    images = torch.rand(3, *program.input_shape).numpy()
    runner = SparseRunner(program, 2)
    expected, found = runner.run(images), []
    askers = [threading.Thread(target=lambda: found.append(runner.run(images))) for _ in range(4)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert all(np.array_equal(answer, expected) for answer in found) and len(found) == 4
    if hasattr(os, "fork"):
        child = os.fork()
        if child == 0:
            os._exit(0 if np.array_equal(runner.run(images), expected) else 1)
        assert os.waitpid(child, 0)[1] == 0


def test_a_thread_that_cannot_begin_leaves_no_other_waiting(monkeypatch):
    program = residual((16, 16))
    images = torch.rand(1, *program.input_shape).numpy()
    runner, begin, names = SparseRunner(program, 3), threading.Thread.start, []

    def fail(thread):
        names.append(thread.name)
        if len(names) == 2:
            raise RuntimeError("can't start new thread")
        begin(thread)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError, match="new thread"):
            runner.run(images)
    assert len(names) == 2
    np.testing.assert_array_equal(runner.run(images), SparseRunner(program, 3).run(images))


@pytest.mark.parametrize(("function", "done_first"), [("announce", True), ("lead", False), ("lead", True)])
def test_an_interrupted_call_leaves_the_next_one_whole(function, done_first, monkeypatch):
    program = residual((16, 16))
    images = torch.rand(3, *program.input_shape).numpy()
    runner = SparseRunner(program, 2)
    expected, real, interrupted = runner.run(images), getattr(team, function), []

    def interrupt(*numbers):
        if done_first or interrupted:
            real(*numbers)
        if not interrupted:
            interrupted.append(function)
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(team, function, interrupt)
        with pytest.raises(KeyboardInterrupt):
            runner.run(images)
    for _ in range(3):
        np.testing.assert_array_equal(runner.run(images), expected)


def test_threads_sleep_between_calls_and_end_with_their_runner():
    program = residual((16, 16))
    images = torch.rand(1, *program.input_shape).numpy()
    before = set(threading.enumerate())
    runner = SparseRunner(program, 2)
    expected = runner.run(images)
    (other,) = set(threading.enumerate()) - before
    for pause in (0.0, 0.001, 0.1):
        time.sleep(pause)
        assert np.array_equal(runner.run(images), expected)
    time.sleep(0.1)
    start = time.process_time()
    time.sleep(0.2)
    assert time.process_time() - start < 0.1
    del runner
    other.join(timeout=5)
    assert not other.is_alive()


_LARGE = pytest.mark.large
_FLOATS = "test_runner_computes_what_the_program_means(residual, 2)"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("processor", "features", "test"),
    [
        ("haswell", "avx,avx2,fma", f"{_FLOATS}; check_words(plain); check_sums(1)"),
        # All is compiled anew for each of them: half a minute.
        pytest.param("x86-64", "sse2", f"{_FLOATS}; check_words(residual); check_sums(0)", marks=_LARGE),
        pytest.param(
            "alderlake", "avx,avx2,fma,avxvnni", "test_bytes_are_summed_exactly(residual)", marks=_LARGE
        ),
    ],
)
def test_processors_with_shorter_vectors_compute_the_same(processor, features, test, tmp_path):
    """Whether lanes are 8 or 4, the same program gives the same logits."""
    own = llvmlite.binding.get_host_cpu_features()
    if not all(own.get(feature) for feature in features.split(",")):
        pytest.skip(f"this processor has not all of {features}")
    chosen = ",".join(f"+{feature}" for feature in features.split(","))
    settings = {"NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": chosen, "NUMBA_CACHE_DIR": str(tmp_path)}
    script = f"from tests.engine.test_running import *; {test}"
    done = subprocess.run([sys.executable, "-c", script], env={**os.environ, **settings}, cwd=ROOT)
    assert done.returncode == 0


def emulated(program, images):
    """Return the logits of a program of bytes, computed with whole numbers in float64 by torch."""
    values = {0: images}
    for step in program.steps:
        if isinstance(step, Quantize):
            made = (values[step.source] / step.scale).round().clamp(0, 255)
        elif isinstance(step, ByteConvolution):
            units = step.units * step.source_scale
            sums = functional.conv2d(
                values[step.source].double(), step.whole.double(), None, step.stride, step.padding
            )
            made = sums * (units * step.scales[0])[:, None, None] + step.biases[0][:, None, None]
            if step.addend is not None:
                made = made + values[step.addend] * (step.addend_scale or 1.0)
            made = made if step.activation is None else step.activation(made)
            if step.output_scale is not None:
                made = (made / step.output_scale).round().clamp(0, 255)
        else:
            made = result_of(step, values, program.shapes, torch.zeros(len(images), dtype=torch.int64))
        values[step.output] = made.float()
    return values[program.output].flatten(1)


@pytest.mark.skipif(not DOTS_OF_BYTES, reason="this processor has no instruction for sums of bytes")
@pytest.mark.parametrize("make", [residual, plain])
def test_bytes_are_summed_exactly(make):
    program = make()
    images = torch.rand(19, *program.input_shape)
    whole = quantized(program, images)
    assert sum(isinstance(step, ByteConvolution) for step in whole.steps) >= 4
    expected = emulated(whole, images)
    for threads in (1, 2):
        answers = torch.from_numpy(SparseRunner(whole, threads).run(images.numpy()))
        # A number between two levels may be rounded the other way, so a few may differ by a little.
        assert (answers - expected).abs().mean() < 1e-3 * expected.abs().mean()
    floats = interpret(program, images)
    assert (answers - floats).norm() < 0.05 * floats.norm()


def test_levels_do_not_depend_on_how_many_images_calibrate_at_a_time(monkeypatch):
    program = plain()
    images = torch.rand(19, *program.input_shape)
    whole = quantized(program, images)
    monkeypatch.setattr("winninghand.engine.quantizing.images_at_once", lambda *_: 4)
    for one, other in zip(whole.steps, quantized(program, images).steps, strict=True):
        assert type(one) is type(other)
        if isinstance(one, ByteConvolution):
            assert one.source_scale == pytest.approx(other.source_scale, rel=1e-5)


@pytest.fixture
def without_products(monkeypatch):
    """A processor that has no instruction for sums of bytes: binary weights are added up in 16 bits."""
    for module in ("quantizing", "packing", "regions", "vectors"):
        monkeypatch.setattr(f"winninghand.engine.{module}.DOTS_OF_BYTES", False)


def binary(program):
    """Return the program with one magnitude for all weights of an output channel that are not zero."""
    steps = []
    for step in program.steps:
        if isinstance(step, Convolution):
            signs = step.weight.sign()
            sizes = step.weight.abs().flatten(1).sum(1) / signs.abs().flatten(1).sum(1).clamp(min=1)
            levels = Levels(signs.to(torch.int8), sizes, True)
            step = replace(step, weight=signs * sizes[:, None, None, None], levels=levels)
        steps.append(step)
    return replace(program, steps=tuple(steps))


def check_words(make):
    """Check binary convolutions against whole numbers, and that all of them are of 16-bit numbers."""
    program = binary(make())
    images = torch.rand(19, *program.input_shape)
    whole = quantized(program, images)
    assert sum(isinstance(step, ByteConvolution) for step in whole.steps) >= 4
    expected = emulated(whole, images)
    for threads, size in ((1, 19), (2, 19), (2, 1), (1, 6)):
        runner = SparseRunner(whole, threads)
        answers = torch.from_numpy(runner.run(images[:size].numpy()))
        assert (answers - expected[:size]).abs().mean() < 1e-3 * expected.abs().mean()
        for region in itertools.chain.from_iterable(runner._regions.values()):
            steps = [
                one for one in whole.steps[region.first : region.last] if isinstance(one, ByteConvolution)
            ]
            assert {region.places[step.source].packed for step in steps} <= {2}


def test_binary_weights_are_added_in_16_bits(without_products):
    check_words(residual)
    check_words(plain)


def check_sums(seed):
    """Check sums of a layer bit by bit, also where several times 16 bits are needed."""
    draw = random.Random(seed)
    channels, outputs, kernel, stride = (draw.choice(some) for some in ((3, 40, 70), (5, 16), (1, 3), (1, 2)))
    size, padding = draw.choice(((8, 8), (13, 6), (32, 16))), draw.randint(0, kernel // 2)
    generator = torch.Generator().manual_seed(seed)
    levels = torch.randint(0, 256, (21, channels, *size), generator=generator)
    levels[::3] = 255
    shape = (outputs, channels, kernel, kernel)
    signs = torch.where(torch.rand(shape, generator=generator) < 0.5, -1, 1)
    signs[1], signs[2] = 1, -1
    density = torch.tensor([0.1, 1.0, 0.9, 0.0, 0.5] * outputs)[:outputs, None, None, None]
    signs = (signs * (torch.rand(shape, generator=generator) < density)).to(torch.int8)
    sums = functional.conv2d(levels.double(), signs.double(), None, stride, padding)

    ones = torch.ones(outputs)
    norms = (ones[None], 0 * ones[None])
    step = ByteConvolution(
        "weight", 1, 2, signs.float(), *norms, (stride, stride), (padding, padding),
        levels=Levels(signs, ones, True), whole=signs, units=ones, source_scale=1.0, output_scale=None,
        addend_scale=None,
    )  # fmt: skip
    source, made, single = (channels, *size), tuple(sums.shape[1:]), (outputs, 1, 1)
    steps = (
        Quantize(0, 1, 1 / 255),
        step,
        Pool("max", 2, 3, made[1:], made[1:]),
        Affine(2, 4, -norms[0], norms[1]),
        Pool("max", 4, 5, made[1:], made[1:]),
        Concatenate((3, 5), 6),
    )
    shapes = (source, source, made, single, made, single, (2 * outputs, 1, 1))
    program = ByteProgram(steps, shapes, 6, 1, frozenset({1}))
    expected = torch.cat([sums.amax((2, 3)), -sums.amin((2, 3))], 1).float().numpy()
    for threads, count in ((1, 21), (2, 3), (3, 1)):
        images = (levels[:count] / 255).float().numpy()
        assert np.array_equal(SparseRunner(program, threads).run(images), expected[:count])


@pytest.mark.parametrize("seed", range(8))
def test_sums_of_16_bits_are_exact(seed, without_products):
    check_sums(seed)


def test_each_image_has_the_norms_of_its_card_in_16_bits(without_products):
    program = binary(residual(cards=3))
    images, cards = torch.rand(11, *program.input_shape), np.array([0, 1, 2, 2, 1, 0, 0, 2, 1, 1, 0])
    whole = quantized(program, images)
    answers = SparseRunner(whole, 2).run(images.numpy(), cards)

    def of_card(step, card):
        if not hasattr(step, "scales"):
            return step
        scales, biases = (rows[[min(card, len(rows) - 1)]] for rows in (step.scales, step.biases))
        return replace(step, scales=scales, biases=biases)

    for card in range(3):
        own = replace(whole, steps=tuple(of_card(step, card) for step in whole.steps), cards=1)
        alone = SparseRunner(own).run(images.numpy()[cards == card])
        np.testing.assert_allclose(answers[cards == card], alone, atol=1e-5 * np.abs(alone).max(), rtol=0)
