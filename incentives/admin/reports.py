"""Employers' reports: a closed quarter is asked for, and shown the same for ever."""

from datetime import date
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminSelectWidget

from common.back_office import LookOnly, bar_data, bar_options, expect, page_of
from common.problems import Problem
from incentives.models import Employer, EmployerReport
from incentives.reports.quarters import closed_quarters, make_report


class ReportForm(forms.Form):
    employer = forms.ModelChoiceField(
        Employer.objects.all(), widget=UnfoldAdminSelectWidget, to_field_name="slug"
    )
    quarter = forms.ChoiceField(
        widget=UnfoldAdminSelectWidget,
        choices=lambda: [(f"{each}", name_of(each)) for each in closed_quarters(timezone.now())],
    )


@admin.register(EmployerReport)
class EmployerReportAdmin(LookOnly, ModelAdmin):  # type: ignore[misc]
    list_display = ["employer", "named_quarter", "made_at", "made_by"]
    list_filter = ["employer"]
    list_select_related = ["employer", "made_by"]
    list_before_template = "admin/incentives/employerreport/ask.html"
    change_form_template = "admin/incentives/employerreport/report.html"

    @admin.display(description="Quarter", ordering="quarter")
    def named_quarter(self, report: EmployerReport) -> str:
        return name_of(report.quarter)

    # By name, and not Django's own: a report is asked for, not filled in.
    def may_make(self, request: HttpRequest) -> bool:
        return request.user.has_perm("incentives.add_employerreport")

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method == "POST" and "quarter" in request.POST:
            return self.make(request)
        context = {"ask": ReportForm() if self.may_make(request) else None}
        return super().changelist_view(  # type: ignore[no-any-return]
            request, {**context, **(extra_context or {})}
        )

    def make(self, request: HttpRequest) -> HttpResponse:
        expect(self.may_make(request))
        form = ReportForm(request.POST)
        if form.is_valid():
            try:
                report, is_new = make_report(
                    employer=form.cleaned_data["employer"],
                    quarter=date.fromisoformat(form.cleaned_data["quarter"]),
                    by=cast("User", request.user),
                    now=timezone.now(),
                )
            except Problem as refused:
                messages.error(request, refused.detail)
            else:
                if is_new:
                    self.log_addition(request, report, "Made.")
                return redirect(page_of(EmployerReport, report.pk))
        else:
            messages.error(request, "Choose an employer and a closed quarter.")
        return redirect("admin:incentives_employerreport_changelist")

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        report = self.get_object(request, object_id)
        if report is None or not self.has_view_permission(request, report):
            return super().change_view(request, object_id)  # type: ignore[no-any-return]
        context = {"report": report, **shown(report), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)  # type: ignore[no-any-return]


def shown(report: EmployerReport) -> dict[str, Any]:
    figures = report.figures
    rows = [
        [
            each["programme"],
            each["incentive"],
            "hidden" if each["members"] is None else f"{each['members']:,}",
            "hidden" if each["cost"] is None else f"{each['cost']} {each['currency']}",
        ]
        for each in figures["rows"]
    ]
    cost = figures["cost"]
    total = [
        "All together",
        "",
        "hidden" if figures["total"] is None else f"{figures['total']:,}",
        "hidden" if cost is None else f"{cost} {figures['currency']}",
    ]
    visible = [each for each in figures["rows"] if each["members"] is not None]
    members = {"Members": [each["members"] for each in visible]}
    chart = bar_data([each["incentive"] for each in visible], members, "primary-600")
    return {
        "title": f"{report.employer.name}, {name_of(report.quarter)}",
        "table": {
            "headers": ["Programme", "Incentive", "Members", "Cost"],
            "rows": [*rows, total],
        },
        "chart": chart if visible else "",
        "chart_options": bar_options(),
        "population": f"{figures['population']:,}",
        "smallest": figures["smallest"],
    }


def name_of(quarter: Any) -> str:
    return f"Q{(quarter.month + 2) // 3} {quarter.year}"
