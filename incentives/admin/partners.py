"""Partners, what they were told and how it went; nothing here names a member."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display

from common.back_office import DayRange, LookOnly, moment
from common.spreadsheet import download
from incentives.models import (
    Delivery,
    DeliveryAttempt,
    FeedEntry,
    Handover,
    Partner,
    Partnership,
)
from incentives.partners import deliveries, feed
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
        is_dead = Q(endpoints__deliveries__state=Delivery.State.DEAD)
        found: QuerySet[Partner] = super().get_queryset(request)
        return found.annotate(
            how_many_programmes=Count("partnerships", distinct=True),
            how_many_dead=Count("endpoints__deliveries", filter=is_dead, distinct=True),
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
        return format_html(
            '<a class="text-link" href="{}{}">{}</a>', address, query, partner.how_many_dead
        )

    def get_urls(self) -> list[URLPattern]:
        export = self.admin_site.admin_view(self.export)
        name = "incentives_partner_export"
        return [path("<int:id>/feed.csv", export, name=name), *super().get_urls()]

    def export(self, request: HttpRequest, id: int) -> HttpResponse | StreamingHttpResponse:
        """What the partner can pull, as a file whose name says nothing either."""
        if not request.user.has_perm("incentives.view_feedentry"):
            raise PermissionDenied
        partner = get_object_or_404(Partner, pk=id)
        entries = feed.entries_after(partner.slug, 0).iterator(chunk_size=1000)
        return download("feed", csv_lines(entries))


class SentInline(LookOnly, TabularInline):  # type: ignore[misc]
    model = Delivery
    verbose_name_plural = "webhooks"
    fields = ["endpoint", "state", "tries", "due_at", "delivered_at"]
    show_change_link = True


@admin.register(FeedEntry)
class FeedEntryAdmin(LookOnly, ModelAdmin):  # type: ignore[misc]
    list_display = [
        "sequence",
        "partner",
        "status_label",
        "version",
        "reward_code",
        "reference",
        "pseudonym",
        "effective_on",
        "published_at",
        "fulfilment",
    ]
    list_filter = [
        "partner",
        "status",
        "achievement__status",
        "achievement__needs_review",
        ("published_at", DayRange),
    ]
    list_filter_submit = True
    list_fullwidth = True
    list_per_page = 50
    list_select_related = ["partner", "partnership", "member", "achievement"]
    search_fields = ["achievement__id", "member__pseudonym"]  # exactly, see get_search_results
    search_help_text = "The id or the member as the partner knows them"
    ordering = ["-id"]
    show_full_result_count = False
    fields = [
        "partner",
        "sequence",
        "achievement",
        "status_label",
        "version",
        "reward_code",
        "reference",
        "pseudonym",
        "effective_on",
        "published_at",
        "fulfilment",
        "answer",
    ]
    readonly_fields = ["status_label", "reference", "pseudonym", "fulfilment", "answer"]
    inlines = [SentInline]

    @display(  # type: ignore[untyped-decorator]
        description="Told", ordering="status", label={"Granted": "success", "Reversed": "danger"}
    )
    def status_label(self, entry: FeedEntry) -> str:
        return entry.get_status_display()

    @admin.display(description="Programme, as told")
    def reference(self, entry: FeedEntry) -> str:
        return entry.partnership.reference

    @admin.display(description="Member, as told")
    def pseudonym(self, entry: FeedEntry) -> str:
        return str(entry.member.pseudonym)

    @admin.display(description="Achievement now")
    def fulfilment(self, entry: FeedEntry) -> str:
        now = entry.achievement.get_status_display()
        return f"{now}, to be settled" if entry.achievement.needs_review else now

    @admin.display(description="The partner's answer")
    def answer(self, entry: FeedEntry) -> str:
        """Its note is text from outside: shown as such, and nowhere else."""
        said = entry.achievement.changes.filter(by=f"partner:{entry.partner.slug}").last()
        if said is None:
            return "-"
        note = f": {said.note}" if said.note else ""
        return f"{said.get_status_display()} on {said.at:%Y-%m-%d %H:%M} UTC{note}"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[FeedEntry], search_term: str
    ) -> tuple[QuerySet[FeedEntry], bool]:
        if term := search_term.strip().lower():
            try:
                queryset = queryset.filter(Q(achievement=term) | Q(member__pseudonym=term))
            except ValidationError:
                queryset = queryset.none()
        return queryset, False


class AttemptInline(LookOnly, TabularInline):  # type: ignore[misc]
    model = DeliveryAttempt
    verbose_name_plural = "tries"
    fields = ["at", "result", "milliseconds"]
    readonly_fields = ["result"]
    ordering = ["-id"]
    per_page = 20
    hide_title = True

    @admin.display(description="Outcome")
    def result(self, attempt: DeliveryAttempt) -> str:
        return str(attempt)


@admin.register(Delivery)
class DeliveryAdmin(LookOnly, ModelAdmin):  # type: ignore[misc]
    list_display = [
        "webhook_id",
        "endpoint",
        "sequence",
        "state_label",
        "tries",
        "outcome",
        "when",
    ]
    list_filter = ["state", "endpoint__partner", "endpoint", ("created_at", DayRange)]
    list_filter_submit = True
    list_fullwidth = True
    list_per_page = 50
    list_select_related = ["endpoint__partner", "entry"]
    search_fields = ["id"]
    search_help_text = "A webhook-id, exactly"
    ordering = ["-entry_id", "endpoint_id"]
    show_full_result_count = False
    fields = [
        "webhook_id",
        "endpoint",
        "entry",
        "state_label",
        "tries",
        "due_at",
        "created_at",
        "delivered_at",
    ]
    readonly_fields = ["webhook_id", "state_label"]
    inlines = [AttemptInline]
    actions = ["replay"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        last = DeliveryAttempt.objects.filter(delivery=OuterRef("pk")).order_by("-id")
        found: QuerySet[Delivery] = super().get_queryset(request)
        return found.annotate(last_outcome=Subquery(last.values("outcome")[:1]))

    @admin.display(description="No.", ordering="entry__sequence")
    def sequence(self, delivery: Delivery) -> int:
        return delivery.entry.sequence

    @admin.display(description="Last outcome")
    def outcome(self, delivery: Any) -> str:
        if delivery.last_outcome is None:
            return "-"
        return delivery.last_outcome or "interrupted"

    @admin.display(description="When (UTC)")
    def when(self, delivery: Delivery) -> str:
        at = delivery.delivered_at
        if at is None and delivery.state == Delivery.State.PENDING:
            at = delivery.due_at
        return moment(at)

    @display(  # type: ignore[untyped-decorator]
        description="State",
        ordering="state",
        label={
            "On its way": "info",
            "Delivered": "success",
            "Dead letter": "danger",
            "Dropped with its endpoint": "warning",
        },
    )
    def state_label(self, delivery: Delivery) -> str:
        return delivery.get_state_display()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Delivery], search_term: str
    ) -> tuple[QuerySet[Delivery], bool]:
        if term := search_term.strip().removeprefix("msg_"):
            try:
                queryset = queryset.filter(pk=term)
            except ValidationError:
                queryset = queryset.none()
        return queryset, False

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("incentives.replay_delivery")

    @admin.action(description="Send again (dead letters and delivered)", permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        chosen = Delivery.objects.filter(pk__in=list(queryset.values_list("pk", flat=True)))
        count = deliveries.replay(chosen, now=timezone.now())
        for delivery in chosen.filter(state=Delivery.State.PENDING, tries=0):
            self.log_change(request, delivery, "Sent again.")
        if count:
            messages.success(request, f"{count} on their way again, with the ids they had.")
        else:
            messages.info(request, "None of these can be sent again: they are on their way.")
