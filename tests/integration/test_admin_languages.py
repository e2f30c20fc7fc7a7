"""The texts of the admin in another language: none is forgotten, and what is compiled is what is written."""

import re
from pathlib import Path

import pytest
from django.utils import translation

import bemi_orm
from tests.integration.admin_rig import ACTIVITY, LIST, page, root, text_of
from tests.integration.rows import store

PACKAGE = Path(bemi_orm.__file__).parent
TEXT = re.compile(r"""(?:translate |\b_\(|(?<!p)gettext(?:_lazy)?\(|\bngettext\()\s*(["'])(.+?)\1""")


def texts():
    sources = [*PACKAGE.glob("admin/*.py"), *PACKAGE.glob("templates/**/*.html"), PACKAGE / "models.py"]
    return {text for source in sources for _, text in TEXT.findall(source.read_text())}


def catalogue():
    written = (PACKAGE / "locale/de/LC_MESSAGES/django.po").read_text()
    pairs = re.findall(r'^msgid "(.+)"\nmsgstr "(.*)"$', written, re.MULTILINE)
    plurals = re.findall(r'^msgid "(.+)"\nmsgid_plural ".+"\nmsgstr\[0\] "(.*)"$', written, re.MULTILINE)
    return dict(pairs + plurals)


def test_every_text_is_translated():
    assert len(texts()) > 100
    assert texts() - catalogue().keys() == set()
    assert all(catalogue().values())


@pytest.mark.parametrize("text", ["Restore…", "Show the plan again", "changes", "Bemi audit trail"])
def test_what_is_compiled_is_what_is_written(text):
    with translation.override("de"):
        assert translation.gettext(text) == catalogue()[text] != text


@pytest.mark.django_db
def test_pages_speak_the_language(settings):
    settings.LANGUAGE_CODE = "de"
    client, change = root(), store(key=5, after={"id": 5, "task": "milk"})
    assert "1 Änderung" in text_of(page(client, LIST))
    assert "Benutzer mit den meisten Änderungen" in page(client, ACTIVITY)
    shown = text_of(page(client, f"{LIST}{change}/change/"))
    for text in ("Änderung", "Kein Kontext", "Bemi-Änderungsprotokoll"):
        assert text in shown
