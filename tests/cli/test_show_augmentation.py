import numpy as np
from PIL import Image

from winninghand.augmentation import DOMAINS


def test_a_row_per_domain_is_drawn(run, tmp_path):
    (tmp_path / "recipe.toml").write_text('domain = {name = "gaussian", sigma = 0.3}\n')
    code, out, _ = run("show-augmentation", tmp_path / "recipe.toml", "--out", tmp_path / "page.png")
    assert (code, out) == (0, "")
    sheet = np.asarray(Image.open(tmp_path / "page.png").convert("RGB")).astype(int)
    # Rows of 72 pixels and a gap of 2 below the heading, views to the right of the names.
    plain, noisy = (
        sheet[28 + 74 * row : 100 + 74 * row, 150:] for row in (0, 1 + list(DOMAINS).index("gaussian"))
    )
    views, change = slice(0, 8 * 74), slice(9 * 74, 9 * 74 + 72)
    assert (
        np.abs(np.diff(noisy[:, views], axis=0)).mean() > 2 * np.abs(np.diff(plain[:, views], axis=0)).mean()
    )
    # Blue less, red more: noise adds to nearly every frequency.
    assert (noisy[:, change, 0] > noisy[:, change, 2]).mean() > 0.9
    assert (plain[:, change] >= 250).all()
    assert run("show-augmentation", tmp_path / "recipe.toml", "--out", tmp_path / "page.svg")[0] == 0
    text = (tmp_path / "page.svg").read_text()
    assert text.count("<image ") == 1 + len(DOMAINS)
    assert "512 images, seed 0" in text


def test_another_suffix_is_refused(run, tmp_path):
    (tmp_path / "recipe.toml").write_text("")
    code, _, err = run("show-augmentation", tmp_path / "recipe.toml", "--out", tmp_path / "page.gif")
    assert (code, err.count("\n")) == (2, 1)
    assert not (tmp_path / "page.gif").exists()
