"""The list of quizzes, and the way to every page about one of them."""

from collections.abc import Callable, Iterable
from functools import update_wrapper
from typing import Any

from django.contrib import admin
from django.db.models import Model, Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.html import format_html_join
from unfold.admin import ModelAdmin
from unfold.decorators import action, display

from quizzes import authoring, statistics
from quizzes.admin import editor, history, performance, preview, publishing
from quizzes.admin.page import frame, readable
from quizzes.document import Document, Language
from quizzes.models import Quiz, QuizVersion
from quizzes.wording import LANGUAGE_NAMES, in_language

BADGE = (
    "inline-block font-semibold h-6 leading-6 px-2 rounded-default text-[11px] whitespace-nowrap"
)
COMPLETE = "bg-green-100 text-green-700 dark:bg-green-500/20 dark:text-green-400"
UNFINISHED = "bg-orange-100 text-orange-700 dark:bg-orange-500/20 dark:text-orange-400"
NOT_BEGUN = "bg-base-500/8 text-base-700 dark:bg-base-500/20 dark:text-base-200"


class ArchivedFilter(admin.SimpleListFilter):
    """Archived quizzes are out of the way unless asked for."""

    title = "archived"
    parameter_name = "archived"

    def lookups(
        self, request: HttpRequest, model_admin: "admin.ModelAdmin[Any]"
    ) -> Iterable[tuple[str, str]]:
        return [("yes", "Archived"), ("all", "All")]

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        return [{**first, "display": "Not archived"}, *others]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Quiz]) -> QuerySet[Quiz]:
        match self.value():
            case "yes":
                return queryset.filter(archived_at__isnull=False)
            case "all":
                return queryset
        return queryset.filter(archived_at=None)


@admin.register(Quiz)
class QuizAdmin(ModelAdmin):  # type: ignore[misc]
    list_display = ("quiz", "state", "draft", "completeness", "participants")
    list_filter = (ArchivedFilter,)
    list_per_page = 50
    search_fields = ("slug", "versions__document__title")
    search_help_text = "A slug or a word of a title"
    actions = None
    actions_list = ("import_document",)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False  # archived instead: attempts and rewards stay

    def has_import_permission(self, request: HttpRequest) -> bool:
        return bool(self.has_add_permission(request) or self.has_change_permission(request))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Quiz]:
        newest = QuizVersion.objects.order_by("quiz_id", "-number").distinct("quiz_id")
        found: QuerySet[Quiz] = super().get_queryset(request)
        return (
            found.select_related("published")
            .defer("published__document")
            .prefetch_related(Prefetch("versions", newest, to_attr="newest"))
        )

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist = super().get_changelist_instance(request)
        quizzes = list(changelist.result_list)
        participants = statistics.participants_of([quiz.pk for quiz in quizzes])
        for quiz in quizzes:
            quiz.participant_count = participants.get(quiz.pk, 0)
            quiz.newest_version = quiz.newest[0] if quiz.newest else None
            quiz.document = quiz.newest_version and readable(quiz.newest_version)
        changelist.result_list = quizzes
        return changelist

    @display(description="Quiz", ordering="slug", header=True)  # type: ignore[untyped-decorator]
    def quiz(self, quiz: Any) -> list[str]:
        return [in_language(quiz.document.title, "en") if quiz.document else quiz.slug, quiz.slug]

    @display(  # type: ignore[untyped-decorator]
        description="Published",
        label={"Archived": "info", "Not published": "default", "Published": "success"},
    )
    def state(self, quiz: Quiz) -> tuple[str, str]:
        if quiz.is_archived:
            return "Archived", "Archived"
        if quiz.published is None:
            return "Not published", "Not published"
        return "Published", f"Version {quiz.published.number}"

    @display(description="Draft", label={"draft": "warning"})  # type: ignore[untyped-decorator]
    def draft(self, quiz: Any) -> tuple[str, str] | str:
        newest = quiz.newest_version
        if newest is None or newest.is_published:
            return ""
        return "draft", f"Version {newest.number} waiting"

    @admin.display(description="Languages")
    def completeness(self, quiz: Any) -> str:
        if quiz.document is None:
            return "cannot be read"
        return format_html_join(
            " ",
            '<span class="{}" title="{}">{}</span>',
            (badge(quiz.document, *each) for each in authoring.missing(quiz.document).items()),
        )

    @admin.display(description="Participants")
    def participants(self, quiz: Any) -> str:
        return f"{quiz.participant_count:,}"

    @action(  # type: ignore[untyped-decorator]
        description="Import a file", url_path="import", icon="upload", permissions=["import"]
    )
    def import_document(self, request: HttpRequest) -> HttpResponse:
        return history.import_page(self, request)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return editor.new_quiz(self, request)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if not object_id.isdecimal():
            raise Http404
        return editor.edit_quiz(self, request, int(object_id))

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        quiz = self.get_object(request, object_id)
        context = frame(self, request, quiz, "log") if quiz else {}
        return super().history_view(request, object_id, context)  # type: ignore[no-any-return]

    def get_urls(self) -> list[URLPattern]:
        pages: list[tuple[str, Callable[..., HttpResponse], str]] = [
            ("preview/", preview.preview_page, "preview"),
            ("publish/", publishing.publish_page, "publish"),
            ("publish/<int:number>/", publishing.publish_page, "publish_version"),
            ("archive/", publishing.archive_page, "archive"),
            ("performance/", performance.performance_page, "performance"),
            ("versions/", history.versions_page, "versions"),
            ("versions/<int:number>/", editor.see_version, "version"),
            ("versions/<int:number>.json", history.export_version, "export"),
        ]
        own = [
            path(
                f"<int:quiz_id>/{route}",
                self.admin_site.admin_view(self.page(view)),
                name=f"quizzes_quiz_{name}",
            )
            for route, view, name in pages
        ]
        return [*own, *super().get_urls()]

    def page(self, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        def shown(request: HttpRequest, **kwargs: Any) -> HttpResponse:
            return view(self, request, **kwargs)

        return update_wrapper(shown, view)


def badge(document: Document, language: Language, problems: list[str]) -> tuple[str, str, str]:
    name = LANGUAGE_NAMES[language]
    if not problems:
        return f"{BADGE} {COMPLETE}", f"{name}: complete", f"{language} ✓"
    if not is_begun(document, language):
        return f"{BADGE} {NOT_BEGUN}", f"{name}: not begun", f"{language} –"
    return (
        f"{BADGE} {UNFINISHED}",
        f"{name}: {len(problems)} missing",
        f"{language} {len(problems)}",
    )


def is_begun(document: Document, language: Language) -> bool:
    texts = [text for question in document.questions for _, text in question.texts()]
    return any(text.get(language) for text in [document.title, *texts])
