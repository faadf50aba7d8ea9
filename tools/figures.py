"""Figures that commands write into README.md and docs/.

There each stands between comments that name it, `<!--NAME-->12 345<!--/-->`, wherever the
hand-written text wants it.
"""

import re
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
DOCS = README.parent / "docs"


def verdict(figure, most):
    """Whether a goal is met, as text."""
    return "met" if figure <= most else "not met"


def rounded(figure):
    """An instruction count as text, to what repeats from run to run."""
    digits = 100 if figure < 100_000 else 1000
    return f"{round(figure / digits) * digits:,}".replace(",", " ")


def write(figures, path=README):
    """Replace figures, {name: text}, in a file. Raises ValueError if one has no place there."""
    text = path.read_text()
    for name, figure in figures.items():
        place = rf"(<!--{re.escape(name)}-->).*?(<!--/-->)"
        text, count = re.subn(place, lambda found, new=figure: found[1] + new + found[2], text,
                             flags=re.DOTALL)
        if not count:
            raise ValueError(f"{path.name} has no <!--{name}-->")
    path.write_text(text)
