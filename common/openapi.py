"""What drf-spectacular cannot see by itself: our headers, our keys, our problem documents."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

PROBLEM = {
    "type": "object",
    "description": "RFC 9457. Branch on `type`; some types carry more members.",
    "required": ["type", "title", "status", "detail", "request_id"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:problem:not-found"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON Pointer, or /parameter"},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}


class Schema(AutoSchema):
    """Names operations after the app and the view, so that generated clients read well."""

    def get_tags(self) -> list[str]:
        return [self.path.removeprefix("/api/v1/").split("/")[0]]


def add_problems(result: dict[str, Any], generator: Any, **kwargs: Any) -> dict[str, Any]:
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = PROBLEM
    components.setdefault("responses", {})["Problem"] = {
        "description": "Why it could not be done",
        "headers": {"X-Request-ID": {"schema": {"type": "string"}}},
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        },
    }
    for operations in result["paths"].values():
        for operation in operations.values():
            operation["responses"].setdefault("default", {"$ref": "#/components/responses/Problem"})
    return result


class GatewayUserScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "common.identity.GatewayUser"
    name = ["endUser", "gatewaySecret"]

    def get_security_definition(self, auto_schema: AutoSchema) -> Any:
        return [
            {
                "type": "apiKey",
                "in": "header",
                "name": "x-zmrn-user-id",
                "description": "A UUID or a BigInt from 1 to 2^63-1, set by the gateway.",
            },
            SECRET,
        ]


class GatewayScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "common.identity.Gateway"
    # Not "gatewaySecret": spectacular warns of one name for two classes.
    name = "gateway"

    def get_security_definition(self, auto_schema: AutoSchema) -> Any:
        return SECRET


class ServiceKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "common.identity.ServiceKey"
    name = "apiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> Any:
        return {"type": "http", "scheme": "bearer", "description": "A key with the right scope."}


SECRET = {
    "type": "apiKey",
    "in": "header",
    "name": "x-gateway-secret",
    "description": "Needed where GATEWAY_SECRET is set.",
}
