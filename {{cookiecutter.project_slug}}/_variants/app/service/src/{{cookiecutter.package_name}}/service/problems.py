"""Error responses: problem documents as in RFC 9457."""

import json
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

KNOWN_STATUSES = frozenset(map(int, HTTPStatus))
MEDIA_TYPE = "application/problem+json"
# FastAPI's detail of every error while it reads a form.
BODY_ERROR = "There was an error parsing the body"


class Problem(BaseModel):
    """An error. Some errors have more members."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    type: str = "about:blank"
    """URI of the error type; about:blank means that the status code describes the error."""
    title: str
    """Reason phrase of the status code."""
    status: int
    """The status code."""
    detail: str
    """What was wrong with this request."""


RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {"description": "Error", "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}}}
}
"""The description of all errors in the OpenAPI document."""


class ProblemResponse(JSONResponse):
    """A problem document in ASCII, because UTF-8 cannot encode a surrogate, which JSON from a client may contain."""

    media_type = MEDIA_TYPE

    def render(self, content: Any) -> bytes:
        """Encode the document. A value of a type that JSON does not have, such as bytes, becomes a string."""
        return json.dumps(content, default=str, allow_nan=False, separators=(",", ":")).encode()


def problem(status: int, detail: str, headers: dict[str, str] | None = None, **members: Any) -> JSONResponse:
    """Return an error response; `members` are added to the document."""
    title = HTTPStatus(status).phrase if status in KNOWN_STATUSES else "Error"
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail, **members}
    return ProblemResponse(content, status, headers)


async def handle_http_exception(_request: Request, error: HTTPException) -> Response:
    """Return the error response for an exception that a route or the router raised.

    Raises:
        OSError: an upload could not be written to /tmp. FastAPI reports this as a client error.

    """
    if isinstance(error.__cause__, OSError) and error.detail == BODY_ERROR:
        raise error.__cause__
    headers = dict(error.headers or {})
    if error.status_code in {204, 304}:  # they have no body
        return Response(status_code=error.status_code, headers=headers)
    # FastAPI's `detail` can be any JSON value, although Starlette's is a string.
    detail: Any = error.detail
    if isinstance(detail, str):
        return problem(error.status_code, detail, headers)
    return problem(error.status_code, "See errors.", headers, errors=detail)


async def handle_validation_error(_request: Request, error: RequestValidationError) -> JSONResponse:
    """List the invalid parameters, without their values."""
    errors = [{"at": "/".join(map(str, each["loc"])), "detail": describe(each)} for each in error.errors()]
    return problem(422, "A parameter or the body is invalid.", errors=errors)


def describe(error: dict[str, Any]) -> str:
    """Return pydantic's message for an error, with the reason why a body is not JSON."""
    message: str = error["msg"].removeprefix("Value error, ")
    return f"{message}: {error['ctx']['error']}" if error["type"] == "json_invalid" else message


async def handle_disconnect(_request: Request, _error: ClientDisconnect) -> JSONResponse:
    """Return a status for the log, although no client receives it."""
    return problem(400, "The request body is incomplete.")


async def handle_exception(_request: Request, _error: BaseException) -> JSONResponse:
    """Return no details to the client; the log has the traceback."""
    return problem(500, "The service failed. Its log contains the error, with the request's ID.")


HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]] = {
    HTTPException: handle_http_exception,
    RequestValidationError: handle_validation_error,
    ClientDisconnect: handle_disconnect,
    Exception: handle_exception,
}
"""FastAPI's exception handlers; an app can replace each of them."""
