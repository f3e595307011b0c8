"""The description of the interface is true: no server error, and no answer that it does not speak of."""

from __future__ import annotations

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from crossbit.service import Limits, ServiceSettings
from crossbit.service.app import create_app
from running_service import in_thread
from service_doubles import TOKEN, know_mean_colours, make_collection

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Any:
    place = tmp_path_factory.mktemp("service") / "collection"
    make_collection(place, n=20)
    with pytest.MonkeyPatch.context() as patch:
        know_mean_colours(patch)
        app = create_app(
            place, ServiceSettings(write_tokens=(TOKEN,), log="none", limits=Limits(picture_pixels=10_000))
        )
        with in_thread(app) as address:
            schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
            yield schema


@schemathesis.serializer("application/x-ndjson")
def lines(context: Any, value: Any) -> bytes:
    """What is generated for a streamed body, as it is."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


OPERATIONS = [
    *(("POST", "/v1/search"), ("POST", "/v1/search/bulk"), ("POST", "/v1/encode"), ("POST", "/v1/items")),
    *(("GET", "/v1/items/{item_id}"), ("DELETE", "/v1/items/{item_id}"), ("GET", "/v1/pictures/{item_id}")),
    *(("GET", "/v1/thumbnails/{item_id}"), ("GET", "/v1/sample"), ("GET", "/v1/info"), ("GET", "/v1/facets")),
    *(("POST", "/v1/admin/reload"), ("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics")),
]


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_no_answer_is_a_server_error_or_undescribed(described: Any, method: str, path: str) -> None:
    operation = described[path][method]
    kinds = [operation.as_strategy(generation_mode=mode) for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)]
    takes_something = "requestBody" in operation.definition.raw or "{" in path or path in ("/v1/sample", "/v1/facets")

    @settings(max_examples=25 if takes_something else 2, suppress_health_check=list(HealthCheck), database=None)
    @given(case=st.one_of(kinds) if takes_something else kinds[0])
    def check(case: Any) -> None:
        case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}"}, checks=CHECKS)

    check()


def test_the_description_speaks_of_every_route_and_of_who_may(described: Any) -> None:
    raw = described.raw_schema
    assert {(method.upper(), path) for path, some in raw["paths"].items() for method in some} == set(OPERATIONS)
    assert raw["paths"]["/v1/items"]["post"]["security"] == [{"token": []}]
    assert raw["paths"]["/v1/search"]["post"]["security"] == [{}, {"token": []}]
    assert "#/components/schemas/SearchRequest" in json.dumps(raw["paths"]["/v1/search"])
    assert "HTTPValidationError" not in json.dumps(raw["paths"])
