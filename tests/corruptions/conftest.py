import numpy as np
import pytest
from corruption_statistics import BAR_REFERENCE, REFERENCE, SHARED, STATISTICS, TEST_IMAGES, load_test_images


@pytest.fixture(scope="session")
def reference():
    """The reference's outputs for 24 images: `clean` and `<corruption>_<severity>`."""
    return _outputs(REFERENCE)


@pytest.fixture(scope="session")
def bar_reference():
    """C-bar's outputs for the same images: `clean` and `<corruption>_<1|3|5>_seed<0|1>`."""
    return _outputs(BAR_REFERENCE)


def _outputs(path):
    if not path.is_file():
        pytest.skip(f"the reference's outputs are not at {path.relative_to(SHARED.parent)}")
    with np.load(path) as file:
        return dict(file)


@pytest.fixture(scope="session")
def photographs():
    """The first 300 test images of CIFAR-10."""
    if not all(path.is_file() for path in (TEST_IMAGES, *STATISTICS)):
        pytest.skip(f"no test images and statistics of theirs in {SHARED.name}/data beside the project")
    return load_test_images()


@pytest.fixture
def noise_images():
    """Images of every level, uint8 (7, 32, 32, 3)."""
    return np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)
