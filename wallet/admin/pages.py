"""What the wallet's pages share: who may adjust, and the way there."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode

from common import back_office


class LookOnly(back_office.LookOnly):
    """What the database keeps, adjustments lead to."""

    # By name: Unfold looks a "wallet.…" up in the database, in a system check, before `migrate`.
    def has_ask_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("wallet.adjust_balance")

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("wallet.approve_adjustment")


def ask(**start: str | int) -> HttpResponse:
    return redirect(f"{reverse('admin:wallet_adjustment_add')}?{urlencode(start)}")


def signed(amount: int) -> str:
    return f"{amount:+,d}"
