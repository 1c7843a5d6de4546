"""docs/hub.md: its code runs, on a hub of this machine."""

import re
from pathlib import Path

import numpy as np

import winninghand as wh
from winninghand.evaluation import evaluate

PAGE = Path(__file__).parent.parent.parent / "docs/hub.md"


def test_the_blocks_of_the_page_run_in_order(hub, tiny_images, monkeypatch):
    module = wh.network("conv2", width=2, input_size=16, classes=2)
    card = wh.Card.from_module(module, tiny_images.classes, (16, 16))
    monkeypatch.setattr(wh, "evaluate", lambda model, split: evaluate(model, split, "contrast", (5,)))
    hub.owner = "owner"
    card.push_to_hub("owner/name")
    names = {"card": card, "images": tiny_images}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(block, names)
    assert names["again"].metadata == card.metadata
    page = hub.repositories["owner/name"].content("main")["README.md"].decode()
    accuracy = np.mean(names["table"].clean.correct)
    assert f"| clean | {100 * accuracy:.1f} |" in page
