"""How a batch is often taken: a model serializer with `many=True`, and `save()`.

With fields as Django REST Framework makes them for the model, named as the API names them: so an
unknown customer is refused, by a look-up for each record. Keys are left to the database.
"""

from typing import Any

from django.db import models
from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.identity import HasScope, ServiceKey
from usage.models import Customer


class PlainRecord(models.Model):
    customer = models.ForeignKey(Customer, models.DO_NOTHING, db_constraint=False)
    service = models.CharField(max_length=200)
    units_consumed = models.DecimalField(max_digits=18, decimal_places=6)
    price_per_unit = models.DecimalField(max_digits=18, decimal_places=6)
    recorded_at = models.DateTimeField(auto_now_add=True)
    period = models.DateField(auto_now_add=True)
    owner = models.CharField(max_length=100)
    idempotency_key = models.CharField(max_length=200)

    class Meta:
        app_label = "benchmarks"
        db_table = "bench_plain"
        managed = False

    def __str__(self) -> str:
        return self.idempotency_key


class PlainSerializer(serializers.ModelSerializer[PlainRecord]):
    customerId = serializers.PrimaryKeyRelatedField(
        source="customer", queryset=Customer.objects.all()
    )
    unitsConsumed = serializers.DecimalField(18, 6, source="units_consumed")
    pricePerUnit = serializers.DecimalField(18, 6, source="price_per_unit")
    idempotencyKey = serializers.CharField(source="idempotency_key", max_length=200)

    class Meta:
        model = PlainRecord
        fields = ["id", "customerId", "service", "unitsConsumed", "pricePerUnit", "idempotencyKey"]


class NaiveView(APIView):
    authentication_classes = [ServiceKey]
    permission_classes = [HasScope]
    required_scope = "usage.write"

    def post(self, request: Request) -> Response:
        serializer: Any = PlainSerializer(data=request.data["records"], many=True)
        serializer.is_valid(raise_exception=True)
        serializer.save(owner="naive")
        return Response({"results": serializer.data})


urlpatterns = [path("api/v1/usage/", NaiveView.as_view())]
