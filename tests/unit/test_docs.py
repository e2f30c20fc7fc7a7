"""The documentation's links lead somewhere, its index is whole, and its Python can be read."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/*.md"))]
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)|src=\"([^\"]+)\"")
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def links(page):
    return [first or second for first, second in LINK.findall(page.read_text())]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_a_page_lead_to_files(page):
    assert [link for link in links(page) if not (page.parent / link).is_file()] == []


def test_the_index_has_every_page_once():
    pages = {page.name for page in ROOT.glob("docs/*.md")} - {"index.md"}
    assert Counter(links(ROOT / "docs" / "index.md")) == Counter(pages)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_of_a_page_is_python(page):
    for block in PYTHON.findall(page.read_text()):
        ast.parse(block)
