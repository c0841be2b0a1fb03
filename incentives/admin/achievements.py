"""Awards: why each was made, what became of it, and what a person has to decide."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action, display

from common.back_office import DayRange, LongList, LookOnly, OfUsers, expect, link, page_of
from incentives import achievements
from incentives.admin.pages import SETTLE, ask_first, staff
from incentives.models import Achievement, AchievementChange, Rule
from incentives.wording import condition, labels, money

COLOURS = {
    "Capped": "warning",
    "Granted": "info",
    "Waits for consent": "warning",
    "Released to the partner": "info",
    "Fulfilled": "success",
    "Rejected by the partner": "danger",
    "Reversed": "danger",
}


class ChangeInline(LookOnly, TabularInline):  # type: ignore[misc]
    model = AchievementChange
    fields = ["version", "status", "at", "by", "coins", "note"]
    readonly_fields = fields
    ordering = ["version"]
    verbose_name_plural = "history"
    hide_title = True


@admin.register(Achievement)
class AchievementAdmin(OfUsers, LongList, LookOnly, ModelAdmin):  # type: ignore[misc]
    list_display = ["granted_at", "user_id", "incentive", "reward", "status_label", "doubt"]
    list_filter = [
        "needs_review",
        "status",
        "incentive__programme",
        ("granted_at", DayRange),
    ]
    list_filter_submit = True
    list_select_related = ["incentive__programme"]
    ordering = ["-granted_at", "-id"]
    fieldsets = [
        (None, {"fields": ["user_id", "incentive", "reward", "reward_code", "coins", "price"]}),
        ("Why", {"fields": ["rule_in_words", "rule_version", "which", "achieved_at", "effective_on",
                            "days_in_words"]}),
        ("State", {"fields": ["status_label", "consents", "doubt", "granted_at"]}),
    ]  # fmt: skip
    readonly_fields = ["price", "rule_in_words", "rule_version", "which", "days_in_words",
                       "status_label", "consents", "doubt"]  # fmt: skip
    inlines = [ChangeInline]
    actions_detail = ["keep", "reverse"]

    @display(description="Status", ordering="status", label=COLOURS)  # type: ignore[untyped-decorator]
    def status_label(self, achievement: Achievement) -> str:
        return achievement.get_status_display()

    @display(description="In doubt", label={"To be settled": "danger"})  # type: ignore[untyped-decorator]
    def doubt(self, achievement: Achievement) -> str:
        if achievement.needs_review:
            return "To be settled"
        return "Kept by decision" if achievement.is_kept else ""

    @admin.display(description="Rule")
    def rule_in_words(self, achievement: Achievement) -> str:
        return condition(achievement.rule, labels())

    @admin.display(description="Version of the rule")
    def rule_version(self, achievement: Achievement) -> str:
        return link(Rule, achievement.rule_id, achievement.rule.number)

    @admin.display(description="The member's")
    def which(self, achievement: Achievement) -> str:
        return f"No. {achievement.ordinal:,} of this incentive"

    @admin.display(description="Costs the employer")
    def price(self, achievement: Achievement) -> str:
        return money(achievement.cost, achievement.incentive.programme.currency)

    @admin.display(description="The member's consent")
    def consents(self, achievement: Achievement) -> str:
        if not achievement.incentive.is_sensitive:
            return "Not needed"
        return {True: "Given", False: "Refused", None: "Not asked or not answered yet"}[
            achievement.consent
        ]

    @admin.display(description="Days that counted")
    def days_in_words(self, achievement: Achievement) -> str:
        return ", ".join(achievement.days)

    def has_settle_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Of one achievement: whether it is in doubt, too."""
        achievement = self.get_object(request, object_id) if object_id else None
        is_open = achievement is None or achievement.needs_review
        return is_open and request.user.has_perm(SETTLE)

    @action(  # type: ignore[untyped-decorator]
        description="Let the member keep it", icon="check", permissions=["settle"]
    )
    def keep(self, request: HttpRequest, object_id: str) -> HttpResponse:
        text = "The log no longer says that this was earned. The member keeps it nevertheless."
        return self.settle(request, object_id, "Keep", text, achievements.keep)

    @action(  # type: ignore[untyped-decorator]
        description="Take it back", icon="undo", permissions=["settle"]
    )
    def reverse(self, request: HttpRequest, object_id: str) -> HttpResponse:
        text = "The achievement is reversed; its coins, if it had any, are taken from the wallet."
        return self.settle(request, object_id, "Take back", text, achievements.reverse)

    def settle(
        self, request: HttpRequest, object_id: str, verb: str, text: str, decision: Any
    ) -> HttpResponse:
        expect(self.has_settle_permission(request))
        achievement = get_object_or_404(Achievement, pk=UUID(object_id))

        def act(note: str) -> str:
            decision(id=achievement.pk, by=staff(request.user), note=note, now=timezone.now())
            self.log_change(request, achievement, f"{verb}: {note}")
            return "Settled."

        return ask_first(
            self,
            request,
            title=f"{verb}: {achievement.reward}",
            text=text,
            back=page_of(Achievement, achievement.pk),
            act=act,
            is_note_asked=True,
            original=achievement,
        )
