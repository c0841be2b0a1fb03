"""Venues with their benefits, the page on how a venue does, and persons."""

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action

from benefits.admin import performance
from benefits.admin.usages import UseColumns
from benefits.models import Benefit, BenefitUsage, Person, Venue
from common.back_office import LookOnly, anchor


class BenefitInline(TabularInline):  # type: ignore[misc]
    model = Benefit
    fields = ["title", "recurrence", "created_at"]
    readonly_fields = ["created_at"]
    extra = 0
    hide_title = True
    show_change_link = True


@admin.register(Venue)
class VenueAdmin(ModelAdmin):  # type: ignore[misc]
    list_display = ["name", "benefit_count", "how_it_does"]
    search_fields = ["name"]
    inlines = [BenefitInline]
    actions_detail = ["see_performance"]
    ordering = ["name", "id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Venue]:
        found: QuerySet[Venue] = super().get_queryset(request)
        return found.annotate(benefit_count=Count("benefits"))

    @admin.display(description="Benefits", ordering="benefit_count")
    def benefit_count(self, venue: Venue) -> int:
        return venue.benefit_count  # type: ignore[attr-defined, no-any-return]

    @admin.display(description="Last 180 days")
    def how_it_does(self, venue: Venue) -> str:
        return anchor(reverse("admin:benefits_venue_performance", args=[venue.pk]), "How it does")

    @action(  # type: ignore[untyped-decorator]
        description="How it does", icon="monitoring", url_path="see-performance"
    )
    def see_performance(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect("admin:benefits_venue_performance", object_id)

    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view(self.performance)
        own = path("<int:venue_id>/performance/", page, name="benefits_venue_performance")
        return [own, *super().get_urls()]

    def performance(self, request: HttpRequest, venue_id: int) -> HttpResponse:
        return performance.performance_page(self, request, venue_id)


@admin.register(Benefit)
class BenefitAdmin(ModelAdmin):  # type: ignore[misc]
    list_display = ["title", "venue", "recurrence", "created_at"]
    list_select_related = ["venue"]
    list_filter = ["recurrence"]
    search_fields = ["title", "venue__name"]
    autocomplete_fields = ["venue"]
    fields = ["venue", "title", "recurrence", "created_at"]
    readonly_fields = ["created_at"]


class UseInline(UseColumns, LookOnly, TabularInline):  # type: ignore[misc]
    model = BenefitUsage
    fields = ["moment", "of_benefit", "of_venue"]
    readonly_fields = fields
    ordering = ["-usage_timestamp", "-id"]
    per_page = 20
    hide_title = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[BenefitUsage]:
        found: QuerySet[BenefitUsage] = super().get_queryset(request)
        return found.select_related("person", "benefit__venue")


@admin.register(Person)
class PersonAdmin(ModelAdmin):  # type: ignore[misc]
    list_display = ["name", "id"]
    search_fields = ["name"]
    show_full_result_count = False
    inlines = [UseInline]
