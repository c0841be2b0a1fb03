"""The back office of access: staff, their groups and the keys of services."""

from typing import Any

from django import forms
from django.apps import apps
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from common.models import ApiKey, Scope

if apps.is_installed("procrastinate.contrib.django"):
    from common import jobs_admin  # noqa: F401  # registers itself

# Django's own pages in the dress of the others.
admin.site.unregister([User, Group])


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[misc, type-arg]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):  # type: ignore[misc]
    pass


class ApiKeyForm(forms.ModelForm):  # type: ignore[type-arg]
    scopes = forms.MultipleChoiceField(
        choices=[(scope.value, f"{scope.label} ({scope.value})") for scope in Scope],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )

    class Meta:
        model = ApiKey
        fields = ["owner", "scopes"]


@admin.register(ApiKey)
class ApiKeyAdmin(ModelAdmin):  # type: ignore[misc]
    """A key is made and revoked; nothing else about it ever changes."""

    form = ApiKeyForm
    list_display = ["owner", "scope_names", "hint", "created_at", "last_used_at", "state"]
    list_filter = [("revoked_at", admin.EmptyFieldListFilter)]
    search_fields = ["owner", "hint"]
    fields = ["owner", "scope_names", "hint", "state", "created_at", "last_used_at", "revoked_at"]
    readonly_fields = ["scope_names", "state"]
    actions = ["revoke_selected"]

    @admin.display(description="Scopes")
    def scope_names(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @display(  # type: ignore[untyped-decorator]
        description="State", label={"In use": "success", "Revoked": "danger"}
    )
    def state(self, key: ApiKey) -> str:
        return "Revoked" if key.revoked_at else "In use"

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False

    def has_revoke_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return request.user.has_perm("common.change_apikey")

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        return super().get_fields(request, obj) if obj else ["owner", "scopes"]

    @sensitive_variables("secret")
    def save_model(self, request: HttpRequest, obj: ApiKey, form: ApiKeyForm, change: bool) -> None:
        key, secret = ApiKey.issue(owner=obj.owner, scopes=obj.scopes)
        obj.pk, obj.hint = key.pk, key.hint
        request.issued_secret = secret  # type: ignore[attr-defined]

    def response_add(
        self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None
    ) -> HttpResponse:
        """The one page that shows the secret. It is no redirect: that would have to store it."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "API key",
            "key": obj,
            "secret": request.issued_secret,  # type: ignore[attr-defined]
        }
        return TemplateResponse(request, "admin/common/apikey/issued.html", context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context = {"may_revoke": self.has_revoke_permission(request), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)  # type: ignore[no-any-return]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.revoke))
        return [path("<int:id>/revoke/", view, name="common_apikey_revoke"), *super().get_urls()]

    def revoke(self, request: HttpRequest, id: int) -> HttpResponse:
        if not self.has_revoke_permission(request):
            raise PermissionDenied
        self.revoke_selected(request, ApiKey.objects.filter(pk=get_object_or_404(ApiKey, pk=id).pk))
        return redirect("admin:common_apikey_change", id)

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        revoked = list(queryset.filter(revoked_at=None))
        for key in revoked:
            key.revoke()
            self.log_change(request, key, "Revoked.")
        names = ", ".join(str(key) for key in revoked)
        messages.success(request, f"Revoked: {names or 'none; they were before'}.")
