"""Members: their periods, their events (not what these say) and how far they are."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.decorators import display

from common.back_office import DayRange, LongList, LookOnly, OfUsers
from incentives.models import Eligibility, Event, EventType, Progress
from incentives.progress import progress_of
from incentives.structures import read_structure


@admin.register(Eligibility)
class EligibilityAdmin(OfUsers, LongList, LookOnly, ModelAdmin):  # type: ignore[misc]
    list_display = ["user_id", "employer", "starts_on", "ends_on", "timezone"]
    list_filter = ["employer"]
    list_select_related = ["employer"]
    # As the index has them; employers by their slugs would have to be joined and sorted.
    ordering = ["employer_id", "user_id", "starts_on"]


class TypeFilter(admin.SimpleListFilter):
    """Those of the catalogue: to look them up in the log would read all of it."""

    title, parameter_name = "type", "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(slug, slug) for slug in EventType.objects.values_list("slug", flat=True)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Event]) -> QuerySet[Event]:
        return queryset.filter(type=self.value()) if self.value() else queryset


@admin.register(Event)
class EventAdmin(OfUsers, LongList, LookOnly, ModelAdmin):  # type: ignore[misc]
    list_display = ["id", "user_id", "type", "occurred_at", "timezone", "owner", "retracted_at"]
    list_filter = [TypeFilter, ("occurred_at", DayRange)]
    list_filter_submit = True
    ordering = ["-id"]
    # Nobody needs somebody's health data to answer why an award was made.
    exclude = ["data"]


@admin.register(Progress)
class ProgressAdmin(OfUsers, LongList, LookOnly, ModelAdmin):  # type: ignore[misc]
    list_display = ["user_id", "programme", "incentive", "how_far", "last_counted_on"]
    list_filter = ["incentive__programme"]
    list_select_related = ["incentive__programme", "rule"]
    fields = ["user_id", "programme", "incentive", "rule", "how_far", "first_at", "latest_at",
              "last_counted_on", "now"]  # fmt: skip
    readonly_fields = ["programme", "how_far", "now"]

    @admin.display(description="Programme")
    def programme(self, progress: Progress) -> str:
        return progress.incentive.programme.slug

    @display(description="Progress", label=True)  # type: ignore[untyped-decorator]
    def how_far(self, progress: Progress) -> str:
        structure = read_structure(progress.rule.structure)
        current = min(structure.current(progress.state), structure.target)
        if progress.reached:
            current = structure.target
        return f"{current:,} of {structure.target:,} {structure.unit}"

    @admin.display(description="With all that still waits")
    def now(self, progress: Progress) -> str:
        return "; ".join(
            f"{each['incentive']}: {each['current']:,} of {each['target']:,} {each['unit']}"
            for each in progress_of(progress.user_id)
        )
