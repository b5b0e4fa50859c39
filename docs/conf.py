"""The documentation site: the Markdown pages of the repository as they lie, with commands and API from the code.

Built by `make docs` into build/site, every warning an error. Nothing in it is fetched from another place.
"""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path

from sphinx.application import Sphinx

import onesheet

sys.path.insert(0, str(Path(__file__).parent))  # commands.py

project = "onesheet"
release = onesheet.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "commands"]

# The source is the repository, so that links between pages are the same here and in a clone.
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "*.md",
    "benchmarks/*.md",
    "benchmarks/results/*.md",
    "examples/browser/README.md",
    "recipes/*.md",
]
exclude_patterns = [".*", "README.md"]

myst_heading_anchors = 3
default_role = "code"
autodoc_default_options = {"members": True}
autodoc_member_order = "groupwise"
autodoc_typehints = "signature"
python_maximum_signature_line_length = 80
napoleon_use_ivar = True
napoleon_attr_annotations = False  # types stand in the signature
smartquotes = False

html_theme = "furo"
html_title = "onesheet"
html_extra_path = ["home"]
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False

# The names of these come with first use, which autodoc does not make.
source = Path(onesheet.__file__).parent
for stub in sorted(source.rglob("__init__.pyi")):
    package = import_module(".".join(("onesheet", *stub.parent.relative_to(source).parts)))
    for member in package.__all__:
        setattr(package, member, getattr(package, member))

# What axe-core finds in the pages that Sphinx and Furo write, and what it becomes.
REPLACED = {
    'role="heading">': 'role="heading" aria-level="2">',
    "<pre>": '<pre tabindex="0">',
    '<div class="table-wrapper': '<div tabindex="0" class="table-wrapper',
}
SIGNATURE = re.compile(r'<dl>\n(<dd><em class="sig-param.*?)</dl>', re.DOTALL)
PARAMETERS = '<div style="margin-left: 2em">\n{}</div>'


def setup(app: Sphinx) -> None:
    """Mend what axe-core finds in the pages that Sphinx and Furo write."""
    app.connect("build-finished", mend_pages)


def mend_pages(app: Sphinx, error: Exception | None) -> None:
    """Give headings of the sidebar their level, code that scrolls the focus, and signatures no list of definitions."""
    if error or app.builder.format != "html":
        return
    for path in Path(app.outdir).rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        mended = page
        for old, new in REPLACED.items():
            mended = mended.replace(old, new)
        mended = SIGNATURE.sub(lambda found: PARAMETERS.format(found[1].replace("dd>", "div>")), mended)
        if mended != page:
            path.write_text(mended, encoding="utf-8")
