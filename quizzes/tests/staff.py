"""Staff members for the tests of the back office, each with just these permissions."""

import json
from typing import Any

from django.contrib.auth.models import Permission, User
from django.test import Client

from quizzes.models import Quiz, QuizVersion

QUIZZES = "/admin/quizzes/quiz/"


def staff(*permissions: str) -> Client:
    """`staff("view_quiz")`; nobody's own permissions are more than these."""
    user = User.objects.create_user("-".join(permissions) or "nobody", is_staff=True)
    found = Permission.objects.filter(codename__in=permissions)
    assert len(found) == len(permissions)
    user.user_permissions.set(found)
    client = Client()
    client.force_login(user)
    return client


def url_of(quiz: Quiz, page: str = "change/") -> str:
    return f"{QUIZZES}{quiz.pk}/{page}"


def newest(quiz: Quiz) -> QuizVersion:
    return quiz.versions.order_by("-number")[0]


def sent(data: object, version: QuizVersion | None = None) -> dict[str, Any]:
    """What the editor posts: a document, and the text that it began from."""
    began = f"{version.pk}:{version.digest}" if version else ""
    return {"document": json.dumps(data), "began": began}
