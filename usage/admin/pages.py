"""What the pages share: links to each other, months to choose from, numbers for people."""

from datetime import date
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.contrib.admin import helpers
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape, format_html
from unfold.admin import ModelAdmin
from unfold.forms import AdminForm

from usage.metering import as_money, as_units
from usage.models import first_of_month, month_text
from usage.reading import read_month
from usage.services import month_before

MONTHS = 24


def page_of(kind: str, key: object) -> str:
    return reverse(f"admin:usage_{kind}_change", args=[key])


def link(kind: str, key: object, text: object) -> str:
    return format_html('<a class="text-link" href="{}">{}</a>', page_of(kind, key), text)


class MonthFilter(admin.SimpleListFilter):
    """The months that staff look at; older ones are found through their customer."""

    title, parameter_name = "month", "month"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        months: list[date] = [first_of_month(timezone.now())]
        while len(months) < MONTHS:
            months.append(month_before(months[-1]))
        return [(month_text(month), month_text(month)) for month in months]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        try:
            return queryset.filter(period=read_month(self.value() or ""))
        except ValueError:
            return queryset


def money(number: Decimal) -> str:
    """For people: 1,234,567.89, with as many decimals as there are and at least two."""
    return f"{Decimal(as_money(number)):,f}"


def units(number: Decimal) -> str:
    return f"{Decimal(as_units(number)):,f}"


def ask_context(
    admin: ModelAdmin, request: HttpRequest, form: Any, title: str, description: str, back: str
) -> dict[str, Any]:
    """A page with a form that is not a row's; the button says what the title says."""
    # A description is taken for HTML, and what it names has its name from outside.
    fields = {"fields": list(form.fields), "description": escape(description)}
    return {
        **admin.admin_site.each_context(request),
        "title": title,
        "adminform": AdminForm(form, [(None, fields)], {}, [], model_admin=admin),
        "errors": helpers.AdminErrorList(form, []),
        "inline_admin_formsets": [],
        "media": admin.media + form.media,
        "is_popup": False,
        "original": None,
        "back": back,
    }
