"""Rules in plain words: chosen from the menu, read back as a sentence, tried on the past."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from pydantic import ValidationError
from unfold.admin import ModelAdmin
from unfold.decorators import action, display
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from common.back_office import bar_options, expect, own_page, page_of
from incentives import programmes
from incentives.admin.pages import PUBLISH, ask_first
from incentives.admin.programmes import chart_of_months
from incentives.forecasting import forecast
from incentives.models import EventType, Rule
from incentives.structures import read_structure
from incentives.wording import labels, money, sentence

COMBINED = "combined"
MENU = [
    ("single", "It happens"),
    ("consecutive_days", "It happens on N days in a row"),
    ("distinct_days", "It happens on N different days"),
    ("times_in_window", "It happens N times within some days"),
    ("sum", "A number of it adds up to N"),
    (COMBINED, "All of or any of several (written as JSON)"),
]
# What the field `number` is called in each structure.
NUMBER = {
    "consecutive_days": "days",
    "distinct_days": "days",
    "times_in_window": "times",
    "sum": "threshold",
}


def number_field(label: str, help_text: str = "") -> forms.IntegerField:
    widget = UnfoldAdminIntegerFieldWidget
    return forms.IntegerField(
        label=label, required=False, min_value=1, widget=widget, help_text=help_text
    )


class RuleForm(forms.ModelForm):  # type: ignore[type-arg]
    menu = forms.ChoiceField(
        label="When", choices=MENU, initial="consecutive_days", widget=UnfoldAdminSelectWidget
    )
    event = forms.ChoiceField(label="What", required=False, widget=UnfoldAdminSelectWidget)
    number = number_field("N", "How many days or times, or how much in all.")
    within = number_field("Within days", "Only for “N times within some days”.")
    field = forms.CharField(
        label="The number of it",
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="Only for “adds up to”: the name in the event's data, such as steps.",
    )
    where = forms.JSONField(
        label="Only where",
        required=False,
        initial=dict,
        widget=UnfoldAdminTextInputWidget,
        help_text='What the event\'s data must say, such as {"quiz": "stock-basics"}.',
    )
    combined = forms.JSONField(
        label="Combination",
        required=False,
        initial=dict,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 8}),
        help_text="Only for “several”: a structure with parts, as in docs/incentives.md.",
    )

    class Meta:
        model = Rule
        exclude = ["structure", "number"]  # noqa: DJ006

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        types = EventType.objects.values_list("slug", "label")
        self.fields["event"].choices = [("", "—"), *types]  # type: ignore[attr-defined]
        if self.instance.pk:
            self.initial.update(said_by(self.instance.structure))

    def clean(self) -> dict[str, Any]:
        said = super().clean() or self.cleaned_data
        if "menu" in said:
            structure = structure_of(said)
            try:
                read_structure(structure)
            except ValidationError as error:
                for each in error.errors():
                    place = ".".join(map(str, each["loc"][1:])) or "structure"
                    self.add_error(None, f"{place}: {each['msg']}.")
            except ValueError as error:
                self.add_error(None, str(error))
            self.instance.structure = structure
        incentive = said.get("incentive")
        if incentive and incentive.rules.filter(published_at=None).exists():
            self.add_error("incentive", "This incentive has a draft already: change that one.")
        if said.get("repeat") == Rule.Repeat.ONCE:
            said["max_per_member"] = 1
        return said


def structure_of(said: dict[str, Any]) -> Any:
    kind = said["menu"]
    if kind == COMBINED:
        return said.get("combined") or {}
    structure = {"structure": kind, "event": said.get("event")}
    if kind in NUMBER:
        structure[NUMBER[kind]] = said.get("number")
    if kind == "times_in_window":
        structure["window"] = said.get("within")
    if kind == "sum":
        structure["field"] = said.get("field")
    if said.get("where"):
        structure["where"] = said["where"]
    return structure


def said_by(structure: Any) -> dict[str, Any]:
    """The other way round: what the form shows of a stored structure."""
    kind = structure.get("structure")
    if kind not in dict(MENU) or "parts" in structure:
        return {"menu": COMBINED, "combined": structure}
    said = {
        "menu": kind,
        "event": structure.get("event"),
        "number": structure.get(NUMBER.get(kind, "")),
        "within": structure.get("window"),
        "field": structure.get("field"),
        "where": structure.get("where"),
    }
    return {name: value for name, value in said.items() if value is not None}


@admin.register(Rule)
class RuleAdmin(ModelAdmin):  # type: ignore[misc]
    form = RuleForm
    list_display = ["incentive", "number", "state", "reward", "in_words"]
    list_select_related = ["incentive__programme__employer"]
    list_filter = ["incentive__programme"]
    fieldsets = [
        ("The rule in words", {"fields": ["in_words", "faults", "state"]}),
        ("What has to happen", {"fields": ["incentive", "menu", "event", "number", "within",
                                           "field", "where", "combined", "local_day"]}),
        ("What the member gets", {"fields": ["reward", ("reward_code", "coins", "cost")]}),
        ("How often", {"fields": ["repeat", ("max_per_member", "cool_down_days", "max_awards")]}),
    ]  # fmt: skip
    readonly_fields = ["in_words", "faults", "state"]
    # Each is asked where its answer counts. None may be a name that the page's scripts know,
    # such as window: these are the names of the scripts' variables.
    conditional_fields = {
        "event": f"menu !== '{COMBINED}'",
        "number": f"!['single', '{COMBINED}'].includes(menu)",
        "within": "menu === 'times_in_window'",
        "field": "menu === 'sum'",
        "where": f"menu !== '{COMBINED}'",
        "combined": f"menu === '{COMBINED}'",
    }
    actions_detail = ["dry_run", "publish"]

    @admin.display(description="In words")
    def in_words(self, rule: Rule) -> str:
        if not rule.pk:
            return "It is read back here once it is saved."
        return sentence(rule, labels())

    @admin.display(description="Before it can be published")
    def faults(self, rule: Rule) -> str:
        return " ".join(programmes.faults_of_rule(rule)) or "Nothing is missing." if rule.pk else ""

    @display(  # type: ignore[untyped-decorator]
        description="State", label={"Published": "success", "Draft": "warning"}
    )
    def state(self, rule: Rule) -> str:
        return "Published" if rule.is_published else "Draft"

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if self.has_change_permission(request, obj):
            return super().get_fieldsets(request, obj)
        shown = ["incentive", "local_day", "reward", "reward_code", "coins", "cost", "repeat",
                 "max_per_member", "cool_down_days", "max_awards", "published_at",
                 "published_by"]  # fmt: skip
        return [("The rule in words", {"fields": ["in_words", "state"]}), (None, {"fields": shown})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [*super().get_readonly_fields(request, obj), *(["incentive"] if obj else [])]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_open = obj is None or not obj.is_published
        return is_open and bool(super().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_open = obj is None or not obj.is_published
        return is_open and bool(super().has_delete_permission(request, obj))

    def has_publish_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Of one rule: whether it is a draft, too."""
        rule = self.get_object(request, object_id) if object_id else None
        is_draft = rule is None or not rule.is_published
        return is_draft and request.user.has_perm(PUBLISH)

    def save_model(self, request: HttpRequest, obj: Rule, form: Any, change: bool) -> None:
        programmes.save_rule(obj)

    @action(description="Dry run", icon="science")  # type: ignore[untyped-decorator]
    def dry_run(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """On past events; nothing is written."""
        expect(self.has_view_permission(request))
        rule = self.found(object_id)
        faults = programmes.faults_of_rule(rule)
        told = None if faults else forecast(rule)
        return own_page(
            self,
            request,
            "admin/incentives/dry_run.html",
            title=f"Dry run of {rule.incentive.name}, version {rule.number}",
            original=rule,
            back=page_of(Rule, rule.pk),
            sentence=sentence(rule, labels()),
            faults=faults,
            told=told,
            cost=money(told.cost, rule.incentive.programme.currency) if told else "",
            chart_options=bar_options(),
            chart=chart_of_months(told.by_month if told else {}),
        )

    @action(  # type: ignore[untyped-decorator]
        description="Publish", icon="publish", permissions=["publish"]
    )
    def publish(self, request: HttpRequest, object_id: str) -> HttpResponse:
        expect(self.has_publish_permission(request))
        rule = self.found(object_id)

        def act(note: str) -> str:
            programmes.publish_rule(rule=rule, by=request.user, now=timezone.now())  # type: ignore[arg-type]
            self.log_change(request, rule, "Published.")
            return "Published."

        return ask_first(
            self,
            request,
            title=f"Publish version {rule.number} of {rule.incentive.name}",
            text=f"{sentence(rule, labels())} It never changes again; members under way on an "
            "earlier version finish on that one.",
            back=page_of(Rule, rule.pk),
            act=act,
            original=rule,
        )

    def found(self, object_id: str) -> Rule:
        rules = Rule.objects.select_related("incentive__programme__employer")
        return get_object_or_404(rules, pk=object_id)
