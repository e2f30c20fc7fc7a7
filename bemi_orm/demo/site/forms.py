"""What the page and the JSON API accept."""

from __future__ import annotations

from django import forms


class ListForm(forms.Form):
    """A list's name."""

    name = forms.CharField(max_length=100)


class TodoForm(forms.Form):
    """A todo's task."""

    task = forms.CharField(max_length=200)
