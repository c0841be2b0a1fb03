"""Programmes and their incentives: written, published, watched."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Count, Q, Sum
from django.db.models.functions import TruncMonth
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action, display

from common.back_office import (
    LookOnly,
    bar_data,
    bar_options,
    expect,
    link,
    own_page,
    page_of,
)
from incentives import achievements, programmes
from incentives.admin.pages import PUBLISH, SETTLE, ask_first, staff
from incentives.models import Achievement, Incentive, Programme, Progress, Rule
from incentives.wording import labels, money, sentence

Status = Achievement.Status
COUNTED = ~Q(status__in=[Status.CAPPED, Status.REVERSED])


class IncentiveInline(TabularInline):  # type: ignore[misc]
    model = Incentive
    fields = ["name", "slug", "is_sensitive", "awarded"]
    readonly_fields = ["awarded"]
    prepopulated_fields = {"slug": ["name"]}
    show_change_link = True
    extra = 0
    hide_title = True

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Programme)
class ProgrammeAdmin(ModelAdmin):  # type: ignore[misc]
    list_display = ["name", "employer", "starts_on", "ends_on", "state", "spent_of_budget"]
    list_filter = ["employer"]
    list_select_related = ["employer"]
    search_fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}
    fieldsets = [
        (None, {"fields": ["name", "slug", "employer", "state"]}),
        ("When", {"fields": [("starts_on", "ends_on")]}),
        ("What it may cost", {"fields": [("budget", "currency"), "spent_of_budget"]}),
    ]
    readonly_fields = ["state", "spent_of_budget"]
    inlines = [IncentiveInline]
    actions_detail = ["figures", "publish", "grant_capped"]

    @display(  # type: ignore[untyped-decorator]
        description="State", label={"Published": "success", "Draft": "warning"}
    )
    def state(self, programme: Programme) -> str:
        return "Published" if programme.is_published else "Draft"

    @admin.display(description="Spent")
    def spent_of_budget(self, programme: Programme) -> str:
        spent = money(programme.spent, programme.currency)
        if programme.budget is None:
            return spent
        return f"{spent} of {money(programme.budget, programme.currency)}"

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        fixed = ["slug", "employer"] if obj else []
        return [*super().get_readonly_fields(request, obj), *fixed]

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        return {} if obj else {"slug": ["name"]}

    def save_model(self, request: HttpRequest, obj: Programme, form: Any, change: bool) -> None:
        programmes.save_programme(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_publish_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Of one programme: whether it is a draft, too."""
        programme = self.get_object(request, object_id) if object_id else None
        is_draft = programme is None or not programme.is_published
        return is_draft and request.user.has_perm(PUBLISH)

    def has_settle_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm(SETTLE)

    @action(description="Figures", icon="bar_chart")  # type: ignore[untyped-decorator]
    def figures(self, request: HttpRequest, object_id: str) -> HttpResponse:
        expect(self.has_view_permission(request))
        programme = get_object_or_404(Programme.objects.select_related("employer"), pk=object_id)
        return own_page(
            self,
            request,
            "admin/incentives/figures.html",
            title=f"{programme.name}: figures",
            original=programme,
            back=page_of(Programme, programme.pk),
            spent=self.spent_of_budget(programme),
            **figures_of(programme),
        )

    @action(  # type: ignore[untyped-decorator]
        description="Publish", icon="publish", permissions=["publish"]
    )
    def publish(self, request: HttpRequest, object_id: str) -> HttpResponse:
        expect(self.has_publish_permission(request))
        programme = get_object_or_404(Programme, pk=object_id)

        def act(note: str) -> str:
            programmes.publish_programme(programme=programme, now=timezone.now())
            self.log_change(request, programme, "Published.")
            return "Published. What happened since it starts is being counted."

        return ask_first(
            self,
            request,
            title=f"Publish {programme.name}",
            text="From now on members see it, and what happened since it starts counts. "
            "A dry run of each rule tells how many awards that will be.",
            back=page_of(Programme, programme.pk),
            act=act,
            original=programme,
        )

    @action(  # type: ignore[untyped-decorator]
        description="Grant what was capped", icon="redeem", permissions=["settle"]
    )
    def grant_capped(self, request: HttpRequest, object_id: str) -> HttpResponse:
        expect(self.has_settle_permission(request))
        programme = get_object_or_404(Programme, pk=object_id)
        waiting = Achievement.objects.filter(
            incentive__programme=programme, status=Status.CAPPED, needs_review=False
        ).count()

        def act(note: str) -> str:
            count = achievements.grant_capped(
                programme=programme, by=staff(request.user), now=timezone.now()
            )
            self.log_change(request, programme, f"Granted {count} that were capped.")
            return f"Granted: {count:,}."

        return ask_first(
            self,
            request,
            title="Grant what was capped",
            text=f"{waiting:,} were earned when budget or cap was exhausted. "
            "The earliest are granted first, as far as there is enough now.",
            back=page_of(Programme, programme.pk),
            act=act,
            original=programme,
        )


def figures_of(programme: Programme) -> dict[str, Any]:
    """Awards by month and progress by incentive; numbers only, nobody's name."""
    earned = Achievement.objects.filter(incentive__programme=programme)
    months = list(
        earned.filter(COUNTED)
        .annotate(month=TruncMonth("effective_on"))
        .values("month")
        .annotate(awards=Count("pk"), cost=Sum("cost"))
        .order_by("month")
    )
    rows = [
        {
            "incentive": incentive,
            "under_way": Progress.objects.filter(incentive=incentive, reached=0).count(),
            "achieved": Progress.objects.filter(incentive=incentive, reached__gt=0).count(),
            **earned.filter(incentive=incentive).aggregate(
                awards=Count("pk", filter=COUNTED),
                capped=Count("pk", filter=Q(status=Status.CAPPED)),
                reversed=Count("pk", filter=Q(status=Status.REVERSED)),
                to_settle=Count("pk", filter=Q(status=Status.FULFILLED, needs_review=True)),
            ),
        }
        for incentive in programme.incentives.all()
    ]
    return {
        "rows": rows,
        "awards_chart": chart_of_months({each["month"]: each["awards"] for each in months}),
        "chart_options": bar_options(),
        "progress_options": bar_options(has_legend=True),
        "has_awards": bool(months),
        "has_progress": any(each["under_way"] or each["achieved"] for each in rows),
        "progress_chart": bar_data(
            [each["incentive"].name for each in rows],
            {
                "Under way": [each["under_way"] for each in rows],
                "Achieved": [each["achieved"] for each in rows],
            },
            "primary-500",
            "primary-800",
        ),
    }


def chart_of_months(awards: Mapping[date, int]) -> str:
    """From the first with an award to the last; those between that had none keep their place."""
    months = [min(awards)] if awards else []
    while months and months[-1] < max(awards):
        months.append((months[-1] + timedelta(days=31)).replace(day=1))
    counts = [awards.get(month, 0) for month in months]
    return bar_data([f"{month:%b %Y}" for month in months], {"Awards": counts}, "primary-500")


class RuleInline(LookOnly, TabularInline):  # type: ignore[misc]
    model = Rule
    fields = ["version", "in_words", "published_at"]
    readonly_fields = fields
    ordering = ["-number"]
    hide_title = True
    verbose_name_plural = "versions of the rule"

    @admin.display(description="Version")
    def version(self, rule: Rule) -> str:
        return link(Rule, rule.pk, rule.number)

    @admin.display(description="Rule")
    def in_words(self, rule: Rule) -> str:
        return sentence(rule, labels())


@admin.register(Incentive)
class IncentiveAdmin(ModelAdmin):  # type: ignore[misc]
    list_display = ["name", "programme", "is_sensitive", "awarded"]
    list_filter = ["programme"]
    list_select_related = ["programme"]
    search_fields = ["name", "slug"]
    fields = ["programme", "name", "slug", "is_sensitive", "awarded"]
    readonly_fields = ["awarded"]
    inlines = [RuleInline]
    actions_detail = ["write_rule"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        fixed = ["programme", "slug"] if obj else []
        if obj and obj.is_sensitive:
            fixed.append("is_sensitive")
        return [*super().get_readonly_fields(request, obj), *fixed]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @action(description="Write the next version", icon="edit")  # type: ignore[untyped-decorator]
    def write_rule(self, request: HttpRequest, object_id: str) -> HttpResponse:
        expect(request.user.has_perm("incentives.add_rule"))
        incentive = get_object_or_404(Incentive, pk=object_id)
        try:
            return redirect(page_of(Rule, programmes.draft_rule(incentive).pk))
        except Rule.DoesNotExist:
            return redirect(f"{reverse('admin:incentives_rule_add')}?incentive={incentive.pk}")
