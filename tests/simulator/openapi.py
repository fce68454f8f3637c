"""Checks answers of the simulator against the OpenAPI file; the file is the only authority here."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import requests
import yaml
from openapi_schema_validator import OAS30Validator, oas30_format_checker

_FILE = Path(__file__).resolve().parent.parent / "contract" / "mycirrus-openapi.yaml"


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    return yaml.safe_load(_FILE.read_text())


def operations() -> dict[str, dict[str, Any]]:
    """Operation id to the operation, with its `path` and `method`."""
    found = {}
    for path, item in document()["paths"].items():
        for method, operation in item.items():
            if method in ("get", "put", "post", "delete"):
                found[operation["operationId"]] = {**operation, "path": path, "method": method.upper()}
    return found


def check(operation_id: str, answer: requests.Response) -> None:
    """Assert that status, media type and body are as the operation says."""
    responses = operations()[operation_id]["responses"]
    status = str(answer.status_code)
    assert status in responses, f"{operation_id} does not answer {status}: {answer.text[:200]}"
    response = _resolved(responses[status])
    if "content" not in response:
        assert answer.content == b""
        return
    kind = answer.headers["Content-Type"].split(";")[0]
    assert kind in response["content"], f"{operation_id} answers {kind}"
    if kind == "application/json":
        conforms(response["content"][kind]["schema"], answer.json())


def message(document_: dict[str, Any]) -> None:
    """Assert that a webhook message is as its schema says."""
    conforms({"$ref": f"#/components/schemas/{document_['type']}Message"}, document_)


def conforms(schema: dict[str, Any], value: Any) -> None:
    whole = {**schema, "components": document()["components"]}
    errors = list(OAS30Validator(whole, format_checker=oas30_format_checker).iter_errors(value))
    assert not errors, "\n".join(f"{list(error.absolute_path)}: {error.message}" for error in errors[:5])


def _resolved(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    found: Any = document()
    for part in node["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return found
