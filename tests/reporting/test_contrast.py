import re
from importlib.resources import files

import pytest

from onesheet.reporting.contrast import SCHEMES, contrast, shade, text_on


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#777777", "#ffffff", 4.48),
        ("#ff0000", "#ffffff", 4.0),
        ("#0000ff", "#000000", 2.44),
        ("#123456", "#123456", 1),
    ],
)
def test_the_ratio_is_that_of_wcag(one, other, ratio):
    """From published tables of the formula."""
    assert contrast(one, other) == contrast(other, one) == pytest.approx(ratio, abs=0.01)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_shade_has_text_that_can_be_read(scheme):
    for percent in range(101):
        text = {"white": "#ffffff", "black": "#000000"}[text_on(percent / 100, scheme)]
        assert contrast(text, shade(percent / 100, scheme)) >= 4.5


def test_the_colours_are_the_pages():
    style = (files("onesheet.reporting") / "templates" / "report.css").read_text(encoding="utf-8")
    papers, accents = (re.findall(rf"--{name}: (#[0-9a-f]+)", style) for name in ("paper", "accent"))
    assert list(zip(papers, accents, strict=False))[:2] == list(SCHEMES.values())
