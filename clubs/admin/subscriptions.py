"""Subscriptions: found, seen as a timeline, and decided about."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.decorators import action, display

from clubs import services, timeline
from clubs.admin import planning
from clubs.admin.pages import STATUS_COLORS
from clubs.forms import StatusForm
from clubs.models import Club, ClubStatus, Period, Status, Subscription
from common.back_office import (
    DayRange,
    LongList,
    LookOnly,
    expect,
    form_page,
    link,
    moment,
    page_of,
)
from common.problems import Problem


class StatusNow(admin.SimpleListFilter):
    title = "status now"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [(str(number), name.capitalize()) for number, name in Status.NAMES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = {str(number): number for number in Status.NAMES}.get(self.value() or "")
        if chosen is None:
            return queryset
        periods = Period.objects.covering(timezone.now()).filter(status=chosen)
        return queryset.filter(pk__in=periods.values("subscription"))


@admin.register(Subscription)
class SubscriptionAdmin(LongList, LookOnly, ModelAdmin):  # type: ignore[misc]
    list_display = ["id", "customer_store_id", "club_link", "status", "created"]
    list_filter = [StatusNow, "club", ("create_date", DayRange)]
    list_filter_submit = True
    list_select_related = ["club"]
    search_fields = ["id__startswith", "customer_store_id__exact"]
    search_help_text = "A subscription's id or its beginning, or a customer"
    ordering = ["-create_date", "id"]
    fields = ["id", "customer_store_id", "club_link", "status", "created"]
    readonly_fields = fields
    change_form_template = "admin/clubs/subscription/change_form.html"
    actions_list = ["who_is_charged", "months"]
    actions_detail = ["change_status"]

    def has_decide_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("clubs.change_subscription")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Subscription]:
        found: Any = super().get_queryset(request)
        annotated: QuerySet[Subscription] = found.with_status(at=timezone.now())
        return annotated

    @admin.display(description="Club", ordering="club__name")
    def club_link(self, subscription: Subscription) -> str:
        return link(Club, subscription.club_id, subscription.club)

    @display(description="Status now", label=STATUS_COLORS)  # type: ignore[untyped-decorator]
    def status(self, subscription: Any) -> str:
        return Status.NAMES.get(subscription.status_id_now, "none").capitalize()

    @admin.display(description="Since (UTC)", ordering="create_date")
    def created(self, subscription: Subscription) -> str:
        return moment(subscription.create_date)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("who-is-charged/", view(self.plan), name="clubs_plan"),
            path("months/", view(self.chart), name="clubs_months"),
            path("<path:id>/status/", view(self.decide), name="clubs_subscription_status"),
        ]
        return [*own, *super().get_urls()]

    def plan(self, request: HttpRequest) -> HttpResponse:
        return planning.plan_page(self, request)

    def chart(self, request: HttpRequest) -> HttpResponse:
        return planning.months_page(self, request)

    @action(description="Who is charged on a date", icon="event_available")  # type: ignore[untyped-decorator]
    def who_is_charged(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:clubs_plan")

    @action(description="Month by month", icon="bar_chart")  # type: ignore[untyped-decorator]
    def months(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:clubs_months")

    @action(  # type: ignore[untyped-decorator]
        description="Change the status", icon="event_repeat", permissions=["decide"]
    )
    def change_status(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect("admin:clubs_subscription_status", object_id)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        found = Subscription.objects.select_related("club").filter(pk=unquote(object_id))
        subscription = found.first()
        life = life_of(subscription) if subscription else {}
        return super().change_view(  # type: ignore[no-any-return]
            request, object_id, form_url, {**life, **(extra_context or {})}
        )

    def decide(self, request: HttpRequest, id: str) -> HttpResponse:
        expect(self.has_decide_permission(request))
        id = unquote(id)
        subscription = get_object_or_404(Subscription, pk=id)
        current = Subscription.objects.with_status(at=timezone.now()).get(pk=id)
        form = StatusForm(request.POST or None)
        if form.is_valid():
            said = {**form.cleaned_data, "details": form.cleaned_data["details"] or None}
            try:
                with transaction.atomic():
                    _, now = services.change_status(subscription_id=id, **said)
                    name = Status.NAMES[said["status_id"]].capitalize()
                    text = f"{name} from {said['effect_date'] or now:%Y-%m-%d %H:%M} UTC."
                    self.log_change(request, subscription, text)
            except Problem as refused:
                form.add_error(None, refused.detail)
            else:
                messages.success(request, f"{subscription}: {text}")
                return redirect(page_of(Subscription, id))
        description = (
            "A decision is added to the history, which is never edited. The planned end of a "
            "running pause goes with it; a cancellation takes everything planned after it away."
        )
        return form_page(
            self,
            request,
            form,
            title=f"Change the status of {subscription}",
            description=f"Now it is {self.status(current).lower()}. {description}",
            button="Decide",
            back=page_of(Subscription, id),
        )


def life_of(subscription: Subscription) -> dict[str, Any]:
    """Everything that was decided and charged, drawn and listed."""
    now = timezone.now()
    history = list(subscription.history.in_order())
    club_history = list(subscription.club.history.in_order())
    charges = list(subscription.charges.order_by("-period", "-id"))
    window = timeline.window_of(
        [change.effect_date for change in history if change.effect_date], now
    )
    # Of equal dates the later decision holds, and takes the place of the earlier one here.
    own = {change.effect_date: Status.NAMES.get(change.status_id, "?") for change in history}
    club = {
        change.effect_date: ClubStatus.NAMES.get(change.club_status_id, "?")
        for change in club_history
    }
    return {
        "lanes": [
            timeline.lane("Subscription", own, window, now),
            timeline.lane("Club", club, window, now),
        ],
        "marks": [
            (each, window.place(each.claimed_at))
            for each in charges
            if each.claimed_at >= window.starts_at
        ],
        "months": timeline.months(window),
        "now_place": window.place(now),
        "decisions": [
            (change, Status.NAMES.get(change.status_id, "?").capitalize(), change.effect_date > now)
            for change in reversed(history)
            if change.effect_date
        ],
        "removed": [
            (change, Status.NAMES.get(change.status_id, "?").capitalize())
            for change in subscription.removed_changes.order_by("-id")
        ],
        "charges": charges,
        "charge_list": reverse("admin:clubs_charge_changelist"),
    }
