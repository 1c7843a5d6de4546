"""The picture of what robust accuracy costs."""

from pathlib import Path

from winninghand.base.charts import svg
from winninghand.report.zoo_chart import robust_by_size
from winninghand.results import zoo_records


def test_the_picture_names_every_model_once_and_stands_in_the_readme():
    root = Path(__file__).parents[2]
    models = zoo_records()
    for text in (svg(robust_by_size(models)), (root / "docs/zoo.svg").read_text(encoding="utf-8")):
        for model in models:
            assert text.count(f">{model.name.removeprefix('cifar10-')}</text>") == 1
    assert "(docs/zoo.svg)" in (root / "README.md").read_text(encoding="utf-8")
