"""Errors as RFC 9457 problem details."""

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """An error. Further members tell more about some of them."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    type: str = "about:blank"
    """A URI that names the kind of error; about:blank: the status says it."""
    title: str
    """The status in words."""
    status: int
    """The status."""
    detail: str
    """What was wrong with this request."""


def problem(status: int, detail: str, headers: dict[str, str] | None = None, **members: Any) -> JSONResponse:
    """Answer with an error; `members` are added to the document."""
    content = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, **members).model_dump()
    return JSONResponse(content, status, headers, MEDIA_TYPE)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the errors of a route for the OpenAPI document."""
    content = {MEDIA_TYPE: {"schema": Problem.model_json_schema()}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


async def refused(_request: Request, error: HTTPException) -> JSONResponse:
    """Answer what a route or the router refuses."""
    return problem(error.status_code, error.detail, dict(error.headers or {}))


async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
    """Answer a request whose parameters are not what the route asks for."""
    errors = [{"at": "/".join(map(str, each["loc"])), "detail": each["msg"]} for each in error.errors()]
    return problem(422, "A parameter is not what it has to be.", errors=errors)


async def client_left(_request: Request, _error: ClientDisconnect) -> JSONResponse:
    """Answer a client that left before its body was complete: nobody reads it, but the log has a status."""
    return problem(400, "The body ended too early.")


HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]] = {
    HTTPException: refused,
    RequestValidationError: invalid,
    ClientDisconnect: client_left,
}
"""What FastAPI is to do with each kind of exception."""
