import numpy as np
import pytest
from corruption_statistics import REFERENCE, SHARED, STATISTICS, TEST_IMAGES, load_test_images


@pytest.fixture(scope="session")
def reference():
    """The reference's outputs for 24 images: `clean` and `<corruption>_<severity>`."""
    if not REFERENCE.is_file():
        pytest.skip(f"the reference's outputs are not at {REFERENCE.relative_to(SHARED.parent)}")
    with np.load(REFERENCE) as file:
        return dict(file)


@pytest.fixture(scope="session")
def photographs():
    """The first 300 test images of CIFAR-10."""
    if not (TEST_IMAGES.is_file() and STATISTICS.is_file()):
        pytest.skip(f"no test images and statistics of theirs in {SHARED.name}/data beside the project")
    return load_test_images()


@pytest.fixture
def noise_images():
    """Images of every level, uint8 (7, 32, 32, 3)."""
    return np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)
