"""What partners were told, entry by entry; nothing here names a member."""

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display

from common.back_office import DayRange, LongList, LookOnly
from incentives.models import Delivery, FeedEntry


class SentInline(LookOnly, TabularInline):  # type: ignore[misc]
    model = Delivery
    verbose_name_plural = "webhooks"
    fields = ["endpoint", "state", "tries", "due_at", "delivered_at"]
    show_change_link = True


@admin.register(FeedEntry)
class FeedEntryAdmin(LongList, LookOnly, ModelAdmin):  # type: ignore[misc]
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
