"""Two pages over all subscriptions: who would be charged on a date, and what each month brought."""

from typing import Any

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.admin import ModelAdmin

from clubs import eligibility, figures
from clubs.admin.pages import tab_page
from clubs.forms import EffectDate
from clubs.months import month_of
from common.back_office import bar_data, bar_options, expect

PER_PAGE = 50


class PlanForm(forms.Form):
    at = EffectDate()


def plan_page(admin: ModelAdmin, request: HttpRequest) -> HttpResponse:
    expect(admin.has_view_permission(request))
    form = PlanForm(request.GET if "at_0" in request.GET else None)
    at = (form.cleaned_data["at"] if form.is_valid() else None) or timezone.now()
    month = month_of(at)
    counts = eligibility.count_by_verdict(at=at, month=month)
    verdict = request.GET.get("verdict", "")
    verdict = verdict if verdict in counts else ""
    after = request.GET.get("after", "")[:36]
    rows = eligibility.judged(at=at, month=month, verdict=verdict, after=after, limit=PER_PAGE + 1)
    chosen = {name: request.GET[name] for name in ("at_0", "at_1") if name in request.GET}
    return tab_page(
        admin,
        request,
        "plan",
        title="Who is charged on a date",
        form=form,
        at=at,
        month=f"{month:%B %Y}",
        zone=settings.BILLING_TIME_ZONE,
        chosen=chosen,
        verdict=verdict,
        verdicts=[
            (name, label, counts[name])
            for name, label in eligibility.VERDICTS.items()
            if counts[name] or name == "chargeable"
        ],
        total=sum(counts.values()),
        rows=rows[:PER_PAGE],
        after=rows[PER_PAGE - 1].id if len(rows) > PER_PAGE else "",
    )


def months_page(admin: ModelAdmin, request: HttpRequest) -> HttpResponse:
    expect(admin.has_view_permission(request))
    months = figures.months_until(timezone.now())
    # The year stands below the first month of it.
    labels = [
        [f"{month.first:%b}", f"{month.first:%Y}"]
        if month.first.month == 1 or not number
        else [f"{month.first:%b}", ""]
        for number, month in enumerate(months)
    ]
    charts = [
        chart("New", labels, [month.new for month in months], "primary-600"),
        chart("Paused", labels, [month.paused for month in months], "orange-500"),
        chart("Cancelled", labels, [month.cancelled for month in months], "red-500"),
        chart("Charged", labels, [month.charged for month in months], "green-600"),
    ]
    return tab_page(
        admin,
        request,
        "months",
        title="Month by month",
        charts=charts,
        months=months[::-1],
        chart_options=bar_options(),
    )


def chart(name: str, labels: list[list[str]], values: list[int], color: str) -> dict[str, Any]:
    return {"name": name, "has_any": any(values), "data": bar_data(labels, {name: values}, color)}
