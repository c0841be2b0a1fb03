"""Uses, to be found, exported and reversed; reversals, to look at only."""

from typing import cast

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import action

from benefits import services
from benefits.export import csv_lines
from benefits.forms import ReversalForm
from benefits.models import Benefit, BenefitUsage, Person, Reversal, Venue
from benefits.query import INTEGER
from benefits.recurrence import Recurrence
from common.back_office import DayRange, LongList, LookOnly, expect, link, moment, own_page
from common.problems import Problem
from common.spreadsheet import download

REVERSE = "benefits.reverse_use"


class UseColumns:
    @admin.display(description="Used at (UTC)", ordering="usage_timestamp")
    def moment(self, use: BenefitUsage) -> str:
        return moment(use.usage_timestamp, has_seconds=True)

    @admin.display(description="Benefit", ordering="benefit")
    def of_benefit(self, use: BenefitUsage) -> str:
        return link(Benefit, use.benefit_id, use.benefit)

    @admin.display(description="Venue")
    def of_venue(self, use: BenefitUsage) -> str:
        return link(Venue, use.benefit.venue_id, use.benefit.venue)

    @admin.display(description="Person", ordering="person")
    def by_person(self, use: BenefitUsage) -> str:
        return link(Person, use.person_id, use.person)

    @admin.display(description="Recurrence")
    def recurrence(self, use: BenefitUsage) -> str:
        return Recurrence(use.benefit.recurrence).how_often


@admin.register(BenefitUsage)
class UsageAdmin(UseColumns, LongList, LookOnly, ModelAdmin):  # type: ignore[misc]
    list_display = ["id", "moment", "by_person", "of_benefit", "of_venue", "recurrence"]
    list_select_related = ["person", "benefit__venue"]
    list_filter = [
        ("benefit__venue", AutocompleteSelectFilter),
        ("benefit", AutocompleteSelectFilter),
        "benefit__recurrence",
        ("usage_timestamp", DayRange),
    ]
    list_filter_submit = True
    list_per_page = 50
    search_fields = ["person"]  # exactly, as get_search_results says
    search_help_text = "A person's id or whole name"
    ordering = ["-id"]
    fields = ["id", "moment", "by_person", "of_benefit", "of_venue", "recurrence"]
    readonly_fields = fields
    actions_detail = ["reverse_use"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[BenefitUsage], search_term: str
    ) -> tuple[QuerySet[BenefitUsage], bool]:
        if term := search_term.strip():
            is_theirs = Q(person__name=term)
            if INTEGER.fullmatch(term) and abs(int(term)) < 2**63:
                is_theirs |= Q(person=int(term))
            queryset = queryset.filter(is_theirs)
        return queryset, False

    def has_reverse_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm(REVERSE)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_view_permission(request, obj) or self.has_reverse_permission(request)

    def get_urls(self) -> list[URLPattern]:
        pages = [
            ("export/", self.export, "export"),
            ("<int:use_id>/reverse/", self.reverse_page, "reverse"),
        ]
        own = [
            path(route, self.admin_site.admin_view(view), name=f"benefits_benefitusage_{name}")
            for route, view, name in pages
        ]
        return [*own, *super().get_urls()]

    def export(self, request: HttpRequest) -> StreamingHttpResponse:
        """What the list shows with these filters, all pages of it."""
        expect(self.has_view_permission(request))
        found = self.get_changelist_instance(request).get_queryset(request)
        return download("uses", csv_lines(found))

    @action(  # type: ignore[untyped-decorator]
        description="Reverse this use", icon="undo", url_path="ask", permissions=["reverse"]
    )
    def reverse_use(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect("admin:benefits_benefitusage_reverse", object_id)

    def reverse_page(self, request: HttpRequest, use_id: int) -> HttpResponse:
        expect(self.has_reverse_permission(request))
        uses = BenefitUsage.objects.select_related("person", "benefit__venue")
        use = uses.filter(pk=use_id).first()
        if use is None:
            messages.warning(request, "There is no such use, or no longer.")
            return redirect("admin:benefits_benefitusage_changelist")
        form = ReversalForm(request.POST or None)
        if form.is_valid():
            return self.reversed(request, use, form.cleaned_data["reason"])
        return own_page(
            self,
            request,
            "admin/benefits/reverse.html",
            title="Reverse a use",
            original=f"{use.benefit}, {use.person}",
            use=use,
            form=form,
        )

    def reversed(self, request: HttpRequest, use: BenefitUsage, reason: str) -> HttpResponse:
        try:
            with transaction.atomic():
                reversal = services.reverse_use(
                    id=use.pk, by=cast("User", request.user), reason=reason, now=timezone.now()
                )
                self.log_change(request, use, f"Reversed: {reason}")
        except Problem:
            # Somebody else was quicker.
            messages.warning(request, "There is no such use, or no longer.")
        else:
            messages.success(request, f"Reversed: {reversal}. It may be used again.")
        return redirect("admin:benefits_benefitusage_changelist")


@admin.register(Reversal)
class ReversalAdmin(LookOnly, ModelAdmin):  # type: ignore[misc]
    list_display = [
        "reversed_at",
        "reversed_by",
        "reason",
        "benefit_title",
        "venue_name",
        "person_name",
        "usage_timestamp",
    ]
    list_filter = [("reversed_at", DayRange)]
    list_filter_submit = True
    list_select_related = ["reversed_by"]
    search_fields = ["person_name", "benefit_title", "venue_name"]
    show_full_result_count = False
    fieldsets = [
        (None, {"fields": ["reversed_by", "reversed_at", "reason"]}),
        (
            "The use",
            {
                "fields": [
                    "usage_id",
                    "usage_timestamp",
                    ("person_name", "person_id"),
                    ("benefit_title", "benefit_id"),
                    ("venue_name", "venue_id"),
                ]
            },
        ),
    ]
