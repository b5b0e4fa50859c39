"""Draw the layers of packages into design.svg, as pyproject.toml has them: python docs/dev/design_picture.py."""

import re
import tomllib
from pathlib import Path

DOCS = Path(__file__).parent
ROOT = DOCS.parents[1]
TORCH = {"models", "training", "exporting", "speed"}  # may import torch
LEFT, WIDTH, TOP, STEP, GAP = 24, 840, 172, 38, 10
MARK = '  <text x="24" y="156"'


def main() -> None:
    """Rewrite the lower half of the picture."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"][1:]  # __main__ is no package
    title = "The packages: imports go down only; those in one row do not see each other"
    lines = [f'{MARK} font-weight="600" fill="#222">{title}</text>']
    for row, layer in enumerate(layers):
        names, y = layer.split(" | "), TOP + row * STEP
        width = (WIDTH - GAP * (len(names) - 1)) / len(names)
        for column, name in enumerate(names):
            x = LEFT + column * (width + GAP)
            fill, stroke = ("#fdebd9", "#d9822b") if name in TORCH else ("#e9f5ec", "#4b9b63")
            lines.append(
                f'  <rect x="{x:g}" y="{y}" width="{width:g}" height="30" rx="6" fill="{fill}" stroke="{stroke}"/>'
                f'<text x="{x + width / 2:g}" y="{y + 20}" text-anchor="middle" fill="#222">{name}</text>'
            )
    bottom = TOP + len(layers) * STEP
    lines += [
        f'  <path d="M904 176V{bottom - 12}" stroke="#555" stroke-width="2" marker-end="url(#tip)"/>',
        f'  <text transform="translate(926 {(bottom + TOP) // 2}) rotate(90)" text-anchor="middle" font-size="12" '
        'fill="#555">imports</text>',
        f'  <text x="24" y="{bottom + 14}" font-size="11" fill="#555">orange: may import torch; the others work '
        "without it</text>",
        "</svg>",
    ]
    picture = DOCS / "design.svg"
    top = picture.read_text(encoding="utf-8").split(MARK)[0]
    height = bottom + 26
    top = re.sub(r'0 0 960 \d+"', f'0 0 960 {height}"', top, count=1)
    top = re.sub(r'width="960" height="\d+"', f'width="960" height="{height}"', top, count=1)
    picture.write_text(top + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
