"""The list of changes: pages by id in place of offsets, and a count that is estimated in place of counted."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import PAGE_VAR, ChangeList
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from bemi_orm.admin.dates import Span, ends_of, parse_span, spans_within
from bemi_orm.admin.filters import DateFilter
from bemi_orm.admin.paging import estimate_count, read_page
from bemi_orm.admin.rows import ChangeRow, change_rows
from bemi_orm.admin.viewer import viewer_of
from bemi_orm.models import Change


class ChangesList(ChangeList):
    """Django's list view state, for a table that grows while it is looked at.

    rows: what the template shows. count_text: how many changes match, in words. spans, span: years, months or
    days to choose from, and the one in force.
    """

    rows: list[ChangeRow]

    def get_ordering(self, request: HttpRequest, queryset: Any) -> list[Any]:
        """Keep the order of commits: no other one has an index, and a column's would sort everything."""
        return ["-id"]

    def get_results(self, request: HttpRequest) -> None:
        """Read one page; no query looks at more than the page, bar what a filter has no index for."""
        try:
            self.page = read_page(self.queryset, request.GET.get(PAGE_VAR, ""), self.list_per_page)
        except ValueError as error:
            raise IncorrectLookupParameters(error) from error
        self.rows = change_rows(self.page.changes, viewer_of(request))
        self.result_list = self.page.changes
        self.result_count = self.full_result_count = self._count()
        self.show_full_result_count = self.can_show_all = self.multi_page = self.show_all = False
        self.show_admin_actions = False
        self.paginator = self.model_admin.get_paginator(request, self.result_list, self.list_per_page)
        self.span = self._span()

    @property
    def count_text(self) -> str:
        """How many changes match."""
        count = self.result_count
        words = {"count": number_format(count, force_grouping=True)}
        if self.page.is_all:
            return ngettext("%(count)s change", "%(count)s changes", count) % words
        return ngettext("about %(count)s change", "about %(count)s changes", count) % words

    @property
    def newer_url(self) -> str:
        """The address of the page before this one; empty on the first."""
        return self.get_query_string({PAGE_VAR: self.page.newer}) if self.page.newer else ""

    @property
    def older_url(self) -> str:
        """The address of the page after this one; empty on the last."""
        return self.get_query_string({PAGE_VAR: self.page.older}) if self.page.older else ""

    @property
    def newest_url(self) -> str:
        """The address of the first page."""
        return self.get_query_string()

    def date_links(self) -> list[tuple[str, str]]:
        """Give address and text of each year, month or day that can be chosen next.

        They span all that is stored: the first change in a scope may take a scan to find.
        """
        ends = ends_of(Change.objects.all())
        spans = spans_within(self.span, ends) if ends else []
        return [(self._date_url(span.value), span.label) for span in spans]

    def date_trail(self) -> list[tuple[str, str]]:
        """Give address and text of what the chosen date is a part of, all dates first; empty for no date."""
        if self.span is None:
            return []
        links = [(self.get_query_string(remove=[DateFilter.parameter_name]), _("All dates"))]
        return links + [(self._date_url(span.value), span.label) for span in self.span.parents()]

    def _date_url(self, value: str) -> str:
        return self.get_query_string({DateFilter.parameter_name: value})

    def _span(self) -> Span | None:
        try:
            return parse_span(self.params.get(DateFilter.parameter_name, ""))
        except ValueError:
            return None

    def _count(self) -> int:
        return len(self.rows) if self.page.is_all else max(estimate_count(self.queryset), len(self.rows) + 1)
