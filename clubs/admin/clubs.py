"""Clubs: their names, what they send, and whether they are open."""

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action, display

from clubs import services
from clubs.admin.pages import CLUB_COLORS
from clubs.forms import ClubForm, ClubStatusForm, NewClubForm
from clubs.models import Club, ClubStatus, ClubStatusChange, Subscription
from common.back_office import LookOnly, anchor, expect, form_page, how_many, moment, page_of


class HistoryInline(LookOnly, TabularInline):  # type: ignore[misc]
    model = ClubStatusChange
    verbose_name_plural = "History"
    fields = ["status", "from_", "holds", "details", "decided"]
    readonly_fields = fields
    ordering = ["-effect_date", "-create_date", "-id"]
    hide_title = True
    extra = 0

    @display(description="Status", label=CLUB_COLORS)  # type: ignore[untyped-decorator]
    def status(self, change: ClubStatusChange) -> str:
        return change.club_status.name.capitalize()

    @admin.display(description="From (UTC)")
    def from_(self, change: ClubStatusChange) -> str:
        return moment(change.effect_date)

    @admin.display(description="Holds")
    def holds(self, change: Any) -> str:
        if change.effect_date is None:
            return "Never"
        if change.effect_date > timezone.now():
            return "Planned"
        return "Now" if change.pk == change.now else "Past"

    @admin.display(description="Decided (UTC)")
    def decided(self, change: ClubStatusChange) -> str:
        return moment(change.create_date)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ClubStatusChange]:
        found: QuerySet[ClubStatusChange] = super().get_queryset(request)
        so_far = ClubStatusChange.objects.filter(
            club=OuterRef("club"), effect_date__lte=timezone.now()
        )
        now = so_far.in_order().reverse().values("pk")[:1]
        return found.select_related("club_status").annotate(now=Subquery(now))


@admin.register(Club)
class ClubAdmin(ModelAdmin):  # type: ignore[misc]
    list_display = ["name", "store_sku", "status", "planned", "subscriptions"]
    search_fields = ["name", "store_sku"]
    search_help_text = "A name or a SKU"
    form = ClubForm
    inlines = [HistoryInline]
    actions = None
    actions_detail = ["change_status", "subscriptions_of"]

    def has_delete_permission(self, request: HttpRequest, obj: Club | None = None) -> bool:
        return False  # closed or inactive instead: subscriptions and charges stay

    def has_decide_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("clubs.change_club")

    def get_form(self, request: HttpRequest, obj: Any = None, **options: Any) -> Any:
        if obj is None:
            options["form"] = NewClubForm
        return super().get_form(request, obj, **options)

    def get_fields(self, request: HttpRequest, obj: Club | None = None) -> list[str]:
        return ["name", "store_sku", *(["status_id"] if obj is None else [])]

    def get_inlines(self, request: HttpRequest, obj: Club | None) -> list[Any]:
        return self.inlines if obj else []

    def get_queryset(self, request: HttpRequest) -> QuerySet[Club]:
        now = timezone.now()
        planned = ClubStatusChange.objects.filter(club=OuterRef("pk"), effect_date__gt=now)
        found: Any = super().get_queryset(request)
        annotated: QuerySet[Club] = found.with_status(at=now).annotate(
            next_status=Subquery(
                planned.order_by("effect_date", "-id").values("club_status__name")[:1]
            ),
            next_date=Subquery(planned.order_by("effect_date", "-id").values("effect_date")[:1]),
            members=how_many(Subscription.objects.all(), of="club"),
        )
        return annotated

    @display(description="Status now", label=CLUB_COLORS)  # type: ignore[untyped-decorator]
    def status(self, club: Any) -> str:
        return ClubStatus.NAMES.get(club.status_id_now, "none").capitalize()

    @admin.display(description="Planned")
    def planned(self, club: Any) -> str:
        if club.next_date is None:
            return ""
        return f"{club.next_status.capitalize()} from {club.next_date:%Y-%m-%d %H:%M}"

    @admin.display(description="Subscriptions", ordering="members")
    def subscriptions(self, club: Any) -> str:
        url = f"{reverse('admin:clubs_subscription_changelist')}?club__id__exact={club.pk}"
        return anchor(url, f"{club.members:,}")

    def save_model(self, request: HttpRequest, obj: Club, form: Any, change: bool) -> None:
        with transaction.atomic():
            services.save_club(obj)
            if not change:
                services.change_club_status(
                    club_id=obj.pk, status_id=form.cleaned_data["status_id"]
                )

    def get_urls(self) -> list[URLPattern]:
        decide = self.admin_site.admin_view(self.decide)
        return [path("<int:id>/status/", decide, name="clubs_club_status"), *super().get_urls()]

    @action(  # type: ignore[untyped-decorator]
        description="Change the status", icon="event_repeat", permissions=["decide"]
    )
    def change_status(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect("admin:clubs_club_status", object_id)

    @action(description="Subscriptions", icon="group")  # type: ignore[untyped-decorator]
    def subscriptions_of(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect(
            f"{reverse('admin:clubs_subscription_changelist')}?club__id__exact={object_id}"
        )

    def decide(self, request: HttpRequest, id: int) -> HttpResponse:
        expect(self.has_decide_permission(request))
        club = get_object_or_404(Club, pk=id)
        current = Club.objects.with_status(at=timezone.now()).get(pk=id)
        form = ClubStatusForm(request.POST or None)
        if form.is_valid():
            with transaction.atomic():
                made = services.change_club_status(
                    club_id=id,
                    **{**form.cleaned_data, "details": form.cleaned_data["details"] or None},
                )
                name = ClubStatus.NAMES[made.club_status_id]
                text = f"{name.capitalize()} from {made.effect_date:%Y-%m-%d %H:%M} UTC."
                self.log_change(request, club, text)
            messages.success(request, f"{club}: {text}")
            return redirect(page_of(Club, id))
        description = (
            "A decision is added to the history, which is never edited. An active club takes "
            "subscriptions in, a closed one only keeps charging, an inactive one does neither."
        )
        return form_page(
            self,
            request,
            form,
            title=f"Change the status of {club}",
            description=f"Now it is {self.status(current).lower()}. {description}",
            button="Decide",
            back=page_of(Club, id),
        )
