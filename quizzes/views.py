"""The quizzes' API: what is offered, attempts and their answers, where a learner stands."""

from collections.abc import Iterable
from typing import Any, TypeVar, cast
from uuid import UUID

from django.db.models import F, Func, IntegerField, Model, QuerySet
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from common.identity import EndUser, GatewayUser
from common.pagination import CursorPage
from common.problems import InvalidInput, NotFound, fault
from common.serializers import Nothing
from quizzes import presentation, services, standings
from quizzes.document import LANGUAGES, Language
from quizzes.languages import UnknownLanguage, negotiate, requested_language
from quizzes.models import Attempt, Quiz, QuizVersion
from quizzes.serializers import (
    ANSWER,
    AttemptSerializer,
    AttemptSummarySerializer,
    ProgressSerializer,
    QuizDetailSerializer,
    QuizProgressSerializer,
    QuizSerializer,
    ResultSerializer,
    SavedAnswerSerializer,
)

LANG = OpenApiParameter("lang", str, enum=LANGUAGES, description="Wins over Accept-Language.")


Anything = TypeVar("Anything", bound=Model)


class LocalizedViewSet(viewsets.GenericViewSet[Anything]):
    """Every call here is an end user's, knows `?lang=` and says which language it answered in."""

    authentication_classes = [GatewayUser]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self.requested: Language | None = None
        self.answered: set[str] = set()
        if (given := request.query_params.get("lang")) is not None:
            try:
                self.requested = requested_language(given)
            except UnknownLanguage:
                detail = f"One of {', '.join(LANGUAGES)}."
                raise InvalidInput(fault("/lang", "unknown-language", detail)) from None

    @property
    def user_id(self) -> str:
        return cast("EndUser", self.request.user).id

    def language_of(self, available: Iterable[str]) -> Language:
        header = self.request.headers.get("Accept-Language", "")
        language = negotiate(available, self.requested, header)
        self.answered.add(language)
        return language

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        patch_vary_headers(response, ["Accept-Language"])
        # A problem is told in English, whatever was asked for.
        languages: set[str] = {"en"}
        if not response.exception:
            languages = self.answered or {self.language_of(LANGUAGES)}
        response["Content-Language"] = ", ".join(each for each in LANGUAGES if each in languages)
        return response


def expect_nothing(request: Request) -> None:
    Nothing.read(request.data)


class BySlug(CursorPage):
    ordering = "slug"


@extend_schema(parameters=[LANG])
class QuizViewSet(LocalizedViewSet[Quiz]):
    pagination_class = BySlug
    serializer_class = QuizSerializer
    queryset = Quiz.objects.offered()
    lookup_field = "slug"

    def list(self, request: Request) -> Response:
        """Quizzes to choose from, each in the language that suits the caller best."""
        # Only what a page shows is read of each document.
        offered = self.get_queryset().annotate(
            languages=F("published__languages"),
            title=F("published__document__title"),
            description=F("published__document__description"),
            question_count=Func(
                F("published__document__questions"),
                function="jsonb_array_length",
                output_field=IntegerField(),
            ),
        )
        page = self.paginate_queryset(offered)
        return self.get_paginated_response([self.summary(quiz) for quiz in page or []])

    def summary(self, quiz: Any) -> dict[str, Any]:
        language = self.language_of(quiz.languages)
        return {
            "id": quiz.pk,
            "slug": quiz.slug,
            "title": quiz.title[language],
            "description": (quiz.description or {}).get(language, ""),
            "language": language,
            "available_languages": quiz.languages,
            "question_count": quiz.question_count,
        }

    @extend_schema(responses=QuizDetailSerializer)
    def retrieve(self, request: Request, slug: str) -> Response:
        """A quiz with its questions, without their key, in one language as a whole."""
        quiz, version = self.published(slug)
        if quiz.is_archived:
            raise NotFound()
        language = self.language_of(version.languages)
        return Response(presentation.quiz_body(quiz, version, language))

    @extend_schema(request=Nothing, responses={201: AttemptSerializer, 200: AttemptSerializer})
    @action(detail=True, methods=["post"], url_path="attempts", pagination_class=None)
    def attempts(self, request: Request, slug: str) -> Response:
        """Start an attempt, or take up the open one: there is at most one."""
        expect_nothing(request)
        quiz, version = self.published(slug)
        attempt, is_new = services.start_attempt(
            quiz=quiz,
            user_id=self.user_id,
            language=self.language_of(version.languages),
            now=timezone.now(),
        )
        self.answered = {attempt.language}
        return Response(
            presentation.attempt_body(attempt),
            status.HTTP_201_CREATED if is_new else status.HTTP_200_OK,
        )

    @extend_schema(responses=QuizProgressSerializer)
    @action(detail=True, pagination_class=None)
    def progress(self, request: Request, slug: str) -> Response:
        """The caller compared to the others, and how hard each question is."""
        quiz, version = self.published(slug)
        self.language_of(version.languages)
        return Response(presentation.quiz_progress_body(quiz, version, self.user_id))

    def published(self, slug: str) -> tuple[Quiz, QuizVersion]:
        """What is offered, and what was: who has begun may finish and look back."""
        found = Quiz.objects.select_related("published").defer("published__document")
        quiz = found.filter(slug=slug).first() if slug.isprintable() else None
        if quiz is None or quiz.published is None:
            raise NotFound()
        return quiz, quiz.published


class NewestFirst(CursorPage):
    ordering = "-id"  # a UUIDv7: by the moment of the start, and unique


@extend_schema(parameters=[LANG])
class AttemptViewSet(LocalizedViewSet[Attempt]):
    pagination_class = NewestFirst
    serializer_class = AttemptSummarySerializer
    queryset = Attempt.objects.none()

    def get_queryset(self) -> QuerySet[Attempt]:
        return Attempt.objects.of(self.user_id).with_version()

    @extend_schema(parameters=[OpenApiParameter("quiz", str, description="A quiz's slug.")])
    def list(self, request: Request) -> Response:
        """The caller's attempts, newest first."""
        attempts = self.get_queryset()
        if (slug := request.query_params.get("quiz")) is not None:
            attempts = attempts.filter(quiz__slug=slug)
        page = self.paginate_queryset(attempts) or []
        self.answered = {attempt.language for attempt in page}
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(responses=AttemptSerializer)
    def retrieve(self, request: Request, pk: str) -> Response:
        attempt = self.get_queryset().filter(pk=uuid_of(pk)).first()
        if attempt is None:
            raise NotFound()
        self.answered = {attempt.language}
        return Response(presentation.attempt_body(attempt))

    @extend_schema(
        request={"application/json": ANSWER},
        responses=SavedAnswerSerializer,
    )
    @action(
        detail=True,
        methods=["put"],
        url_path="answers/<str:question_id>",
        pagination_class=None,
    )
    def answer(self, request: Request, pk: str, question_id: str) -> Response:
        """Store or replace the answer to one question."""
        sheet, answer, grade = services.save_answer(
            attempt_id=uuid_of(pk),
            user_id=self.user_id,
            question_id=uuid_of(question_id),
            body=request.data,
        )
        self.answered = {sheet.language}
        return Response(presentation.saved_answer_body(sheet, answer, grade))

    @extend_schema(request=Nothing, responses=ResultSerializer)
    @action(detail=True, methods=["post"], pagination_class=None)
    def complete(self, request: Request, pk: str) -> Response:
        """Complete the attempt; again, the same result comes back."""
        expect_nothing(request)
        attempt = services.complete_attempt(
            attempt_id=uuid_of(pk), user_id=self.user_id, now=timezone.now()
        )
        self.answered = {attempt.language}
        return Response(presentation.result_body(attempt))


@extend_schema(parameters=[LANG])
class ProgressViewSet(LocalizedViewSet[Attempt]):
    pagination_class = None
    serializer_class = ProgressSerializer

    def list(self, request: Request) -> Response:
        """The caller's standing in every quiz that they completed, by slug."""
        return Response(
            [
                {"quiz": quiz.slug, **standing.as_json()}
                for quiz, standing in standings.standings_of(self.user_id)
            ]
        )


def uuid_of(text: str) -> UUID:
    # Not by the route: whoever asks for what cannot be is still asked who he is first.
    try:
        return UUID(text)
    except ValueError:
        raise NotFound() from None
