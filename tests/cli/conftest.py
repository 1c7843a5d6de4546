import numpy as np
import pytest

import winninghand as wh


@pytest.fixture
def check_refusal(run):
    """Check that the program refuses words in one line that names the fault, and writes nothing."""

    def check(folder, words, named):
        before = sorted(folder.rglob("*"))
        code, out, err = run(*words)
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        assert named in err
        assert sorted(folder.rglob("*")) == before

    return check


@pytest.fixture
def few_digits():
    """Return the embedded digits with so many images of each part."""

    def take(train, test):
        digits = wh.load_images("digits")
        parts = digits.train.take(np.arange(train)), digits.test.take(np.arange(test))
        return wh.ImageSet(*parts, digits.classes)

    return take
