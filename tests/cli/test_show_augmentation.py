import numpy as np
from PIL import Image

from winninghand.augmentation import DOMAINS


def test_a_row_per_domain_is_drawn(run, tmp_path):
    (tmp_path / "recipe.toml").write_text('domain = {name = "gaussian", sigma = 0.3}\n')
    code, out, _ = run("show-augmentation", tmp_path / "recipe.toml", "--out", tmp_path / "page.png")
    assert (code, out) == (0, "")
    sheet = np.asarray(Image.open(tmp_path / "page.png").convert("RGB")).astype(int)
    rows = sheet.reshape(1 + len(DOMAINS), -1, *sheet.shape[1:])
    plain, noisy = rows[0], rows[1 + list(DOMAINS).index("gaussian")]
    samples = slice(130, 130 + 8 * 76)
    assert (
        np.abs(np.diff(noisy[:72, samples], axis=0)).mean()
        > 2 * np.abs(np.diff(plain[:72, samples], axis=0)).mean()
    )
    change = slice(-76, -4)  # blue less, red more: noise adds to nearly every frequency
    assert (noisy[:72, change, 0] > noisy[:72, change, 2]).mean() > 0.9
    assert (plain[:72, change] >= 250).all()


def test_another_suffix_is_refused(run, tmp_path):
    (tmp_path / "recipe.toml").write_text("")
    code, _, err = run("show-augmentation", tmp_path / "recipe.toml", "--out", tmp_path / "page.gif")
    assert (code, err.count("\n")) == (2, 1)
    assert not (tmp_path / "page.gif").exists()
