"""Webhook endpoints: made with a secret shown once, watched, switched off and on."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from common.back_office import expect, how_many, page_of
from common.problems import InvalidInput, Problem
from incentives.models import Delivery, WebhookEndpoint
from incentives.partners import endpoints

NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)


class EndpointForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = WebhookEndpoint
        fields = ["partner", "url"]
        widgets = {"url": UnfoldAdminTextInputWidget}

    def clean(self) -> dict[str, Any]:
        said = super().clean() or self.cleaned_data
        partner, url = said.get("partner") or self.instance.partner_id, said.get("url")
        if url and partner:
            try:
                endpoints.expect_reachable(url)
            except InvalidInput as refused:
                self.add_error("url", refused.extra["errors"][0]["detail"])
            others = WebhookEndpoint.objects.filter(partner=partner, url=url)
            others = others.exclude(state=WebhookEndpoint.State.RETIRED)
            if others.exclude(pk=self.instance.pk).exists():
                self.add_error("url", endpoints.EndpointExists.title)
        return said


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ModelAdmin):  # type: ignore[misc]
    form = EndpointForm
    list_display = ["partner", "url", "state_label", "waiting", "dead", "failing_since"]
    list_filter = ["partner", "state"]
    list_select_related = ["partner"]
    fields = [
        "partner",
        "url",
        "state_label",
        "reason",
        "waiting",
        "dead",
        "failures",
        "failing_since",
        "paused_until",
        "created_at",
    ]
    readonly_fields = [
        "state_label",
        "reason",
        "waiting",
        "dead",
        "failures",
        "failing_since",
        "paused_until",
        "created_at",
    ]
    change_form_template = "admin/incentives/webhookendpoint/change_form.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEndpoint]:
        found: QuerySet[WebhookEndpoint] = super().get_queryset(request)
        return found.annotate(
            how_many_waiting=how_many(
                Delivery.objects.filter(state=Delivery.State.PENDING), of="endpoint"
            ),
            how_many_dead=how_many(
                Delivery.objects.filter(state=Delivery.State.DEAD), of="endpoint"
            ),
        )

    def get_fields(self, request: HttpRequest, obj: WebhookEndpoint | None = None) -> Any:
        return super().get_fields(request, obj) if obj else ["partner", "url"]

    def get_readonly_fields(self, request: HttpRequest, obj: WebhookEndpoint | None = None) -> Any:
        fixed = super().get_readonly_fields(request, obj)
        return [*fixed, "partner"] if obj else fixed

    def has_change_permission(
        self, request: HttpRequest, obj: WebhookEndpoint | None = None
    ) -> bool:
        is_retired = obj is not None and obj.state == WebhookEndpoint.State.RETIRED
        return not is_retired and super().has_change_permission(request, obj)

    def has_delete_permission(
        self, request: HttpRequest, obj: WebhookEndpoint | None = None
    ) -> bool:
        return False

    @display(  # type: ignore[untyped-decorator]
        description="State",
        ordering="state",
        label={"Active": "success", "Failing": "warning", "Disabled": "danger", "Retired": "info"},
    )
    def state_label(self, endpoint: WebhookEndpoint) -> str:
        is_failing = endpoint.state == WebhookEndpoint.State.ACTIVE and endpoint.failures
        return "Failing" if is_failing else endpoint.get_state_display()

    @admin.display(description="On their way", ordering="how_many_waiting")
    def waiting(self, endpoint: Any) -> int:
        return int(endpoint.how_many_waiting)

    @admin.display(description="Dead letters", ordering="how_many_dead")
    def dead(self, endpoint: Any) -> int:
        return int(endpoint.how_many_dead)

    @sensitive_variables("secret")
    def save_model(
        self, request: HttpRequest, obj: WebhookEndpoint, form: EndpointForm, change: bool
    ) -> None:
        if change:
            endpoints.move_endpoint(id=obj.pk, url=obj.url, now=timezone.now())
            return
        made, secret = endpoints.add_endpoint(partner=obj.partner, url=obj.url, now=timezone.now())
        obj.pk = made.pk
        request.issued_secret = secret  # type: ignore[attr-defined]

    def response_add(
        self, request: HttpRequest, obj: WebhookEndpoint, post_url_continue: str | None = None
    ) -> HttpResponse:
        return self.issued(request, obj, request.issued_secret)  # type: ignore[attr-defined]

    @sensitive_variables("secret")
    def issued(self, request: HttpRequest, endpoint: WebhookEndpoint, secret: str) -> HttpResponse:
        """The one page that shows the secret. It is no redirect: that would have to store it."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Webhook secret",
            "endpoint": endpoint,
            "secret": secret,
            "overlap": int(endpoints.OVERLAP.total_seconds() // 3600),
        }
        name = "admin/incentives/webhookendpoint/issued.html"
        return TemplateResponse(
            request, name, context, headers={"Cache-Control": "no-store, private"}
        )

    def get_urls(self) -> list[URLPattern]:
        verbs: dict[str, Callable[..., HttpResponse]] = {
            "rotate": self.rotate,
            "expire": partial(self.act, endpoints.expire_old_secrets, "Old secrets expired."),
            "disable": self.disable,
            "enable": partial(self.act, endpoints.enable_endpoint, "Enabled."),
            "retire": partial(self.act, endpoints.retire_endpoint, "Retired."),
            "tell": self.tell,
        }
        own = [
            path(
                f"<int:id>/{verb}/",
                self.admin_site.admin_view(require_POST(view)),
                name=f"incentives_webhookendpoint_{verb}",
            )
            for verb, view in verbs.items()
        ]
        return [*own, *super().get_urls()]

    def act(
        self, service: Callable[..., Any], words: str, request: HttpRequest, id: int, **said: Any
    ) -> HttpResponse:
        endpoint = self.changeable(request, id)
        if service is endpoints.expire_old_secrets:
            said["now"] = timezone.now()
        try:
            service(id=id, **said)
            self.log_change(request, endpoint, words)
            messages.success(request, words)
        except Problem as refused:
            messages.error(request, refused.detail)
        return redirect(page_of(WebhookEndpoint, id))

    def disable(self, request: HttpRequest, id: int) -> HttpResponse:
        reason = f"By {request.user}."
        return self.act(endpoints.disable_endpoint, "Disabled.", request, id, reason=reason)

    @sensitive_variables("secret")
    def rotate(self, request: HttpRequest, id: int) -> HttpResponse:
        endpoint = self.changeable(request, id)
        try:
            secret = endpoints.rotate_secret(id=id, now=timezone.now())
        except Problem as refused:
            messages.error(request, refused.detail)
            return redirect(page_of(WebhookEndpoint, id))
        self.log_change(request, endpoint, "Secret rotated.")
        return self.issued(request, endpoint, secret)

    def tell(self, request: HttpRequest, id: int) -> HttpResponse:
        """Send what was published before the endpoint was there."""
        endpoint = self.changeable(request, id)
        after = request.POST.get("after", "")
        if not NUMBER.fullmatch(after):
            messages.error(request, "After which sequence? 0 is from the beginning.")
        else:
            try:
                count = endpoints.tell_from(id=id, after=int(after), now=timezone.now())
                self.log_change(request, endpoint, f"Told what came after {after}.")
                messages.success(request, f"{count} more on their way.")
            except Problem as refused:
                messages.error(request, refused.detail)
        return redirect(page_of(WebhookEndpoint, id))

    def changeable(self, request: HttpRequest, id: int) -> WebhookEndpoint:
        endpoint = get_object_or_404(WebhookEndpoint, pk=id)
        expect(super().has_change_permission(request, endpoint))
        return endpoint
