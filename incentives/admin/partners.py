"""Partners: which programmes are theirs, and how it stands with what they are told."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from unfold.admin import ModelAdmin, TabularInline

from common.back_office import anchor, expect, how_many
from common.spreadsheet import download
from incentives.models import Delivery, Handover, Partner, Partnership
from incentives.partners import feed
from incentives.partners.contract import csv_lines


class PartnershipInline(TabularInline):  # type: ignore[misc]
    model = Partnership
    verbose_name_plural = "programmes"
    fields = ["programme", "reference", "created_at"]
    readonly_fields = ["created_at"]
    extra = 0

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Partner)
class PartnerAdmin(ModelAdmin):  # type: ignore[misc]
    list_display = ["slug", "name", "programmes", "told", "dead_letters"]
    search_fields = ["slug", "name"]
    fields = ["slug", "name", "told", "waiting", "created_at"]
    inlines = [PartnershipInline]
    change_form_after_template = "admin/incentives/partner_export.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Partner]:
        dead = Delivery.objects.filter(state=Delivery.State.DEAD)
        found: QuerySet[Partner] = super().get_queryset(request)
        return found.annotate(
            how_many_programmes=how_many(Partnership.objects.all(), of="partner"),
            how_many_dead=how_many(dead, of="endpoint__partner"),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Partner | None = None) -> list[str]:
        shown = ["told", "waiting", "created_at"]
        return [*shown, "slug"] if obj else shown

    def get_fields(self, request: HttpRequest, obj: Partner | None = None) -> Any:
        return super().get_fields(request, obj) if obj else ["slug", "name"]

    def has_delete_permission(self, request: HttpRequest, obj: Partner | None = None) -> bool:
        return False

    @admin.display(description="Programmes", ordering="how_many_programmes")
    def programmes(self, partner: Any) -> int:
        return int(partner.how_many_programmes)

    @admin.display(description="Told so far", ordering="last_sequence")
    def told(self, partner: Partner) -> str:
        return f"{partner.last_sequence:,}"

    @admin.display(description="Waiting to be told")
    def waiting(self, partner: Partner) -> int:
        return Handover.objects.filter(programme__partnership__partner=partner).count()

    @admin.display(description="Dead letters", ordering="how_many_dead")
    def dead_letters(self, partner: Any) -> str:
        if not partner.how_many_dead:
            return "0"
        address = reverse("admin:incentives_delivery_changelist")
        query = f"?state__exact=dead&endpoint__partner__id__exact={partner.pk}"
        return anchor(address + query, partner.how_many_dead)

    def get_urls(self) -> list[URLPattern]:
        export = self.admin_site.admin_view(self.export)
        name = "incentives_partner_export"
        return [path("<int:id>/feed.csv", export, name=name), *super().get_urls()]

    def export(self, request: HttpRequest, id: int) -> StreamingHttpResponse:
        """What the partner can pull, as a file whose name says nothing either."""
        expect(request.user.has_perm("incentives.view_feedentry"))
        partner = get_object_or_404(Partner, pk=id)
        entries = feed.entries_after(partner.slug, 0).iterator(chunk_size=1000)
        return download("feed", csv_lines(entries))
