"""Webhooks on their way: what became of each try, and another one for those that are dead."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display

from common.back_office import DayRange, LongList, LookOnly, moment
from incentives.models import Delivery, DeliveryAttempt
from incentives.partners import deliveries


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
class DeliveryAdmin(LongList, LookOnly, ModelAdmin):  # type: ignore[misc]
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
