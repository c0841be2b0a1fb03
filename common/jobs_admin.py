"""The back office of background jobs: what waits, what failed, and another try."""

from django.apps import apps
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateEvent, ProcrastinateJob
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display

from common.back_office import LookOnly

admin.site.unregister(ProcrastinateJob)
apps.get_app_config("procrastinate").verbose_name = "Background jobs"


class EventInline(LookOnly, TabularInline):  # type: ignore[misc]
    model = ProcrastinateEvent
    fields = ["type", "at"]
    ordering = ["-id"]
    per_page = 20
    hide_title = True


@admin.register(ProcrastinateJob)
class JobAdmin(LookOnly, ModelAdmin):  # type: ignore[misc]
    list_display = ["id", "task_name", "state", "queue_name", "attempts", "scheduled_at", "args"]
    list_filter = ["status", "task_name", "queue_name"]
    search_fields = ["args__icontains"]
    search_help_text = "A part of the arguments"
    ordering = ["-id"]
    show_full_result_count = False
    fields = [
        "task_name",
        "state",
        "args",
        "queue_name",
        "attempts",
        "scheduled_at",
        "priority",
        "lock",
        "queueing_lock",
        "worker",
    ]
    readonly_fields = ["state"]
    inlines = [EventInline]
    actions = ["retry"]

    @display(  # type: ignore[untyped-decorator]
        description="Status",
        ordering="status",
        label={
            "todo": "info",
            "doing": "warning",
            "succeeded": "success",
            "failed": "danger",
        },
    )
    def state(self, job: ProcrastinateJob) -> str:
        return job.status

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("procrastinate.change_procrastinatejob")

    @admin.action(description="Retry (failed jobs)", permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: QuerySet[ProcrastinateJob]) -> None:
        with transaction.atomic():
            # Locked: what somebody else sent on its way meanwhile is not sent again.
            failed = list(queryset.filter(status="failed").select_for_update(of=("self",)))
            for job in failed:
                app.job_manager.retry_job_by_id(job_id=job.id, retry_at=timezone.now())
        if failed:
            messages.success(request, f"{len(failed)} sent on their way again.")
        else:
            messages.info(request, "None of these has failed.")
