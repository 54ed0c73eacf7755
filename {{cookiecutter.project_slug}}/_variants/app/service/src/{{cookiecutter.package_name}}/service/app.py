"""The app: FastAPI with limits, logs, metrics, probes and problem documents."""

import faulthandler
import multiprocessing
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import cached_property
from typing import Any, Generic, TypeVar

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute, iter_route_contexts
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from . import logs, settings
from .connections import BACKLOG
from .middleware import RequestLimits, RequestTelemetry
from .problems import HANDLERS, RESPONSES, problem
from .server import Protocol, Server
from .settings import ServiceSettings, SettingsError, print_error

S = TypeVar("S", bound=ServiceSettings)


class Service(FastAPI, Generic[S]):
    """A FastAPI app whose limits and telemetry also cover unhandled exceptions."""

    def __init__(self, settings_class: type[S], **options: Any) -> None:
        """Create the app; its settings are read when they are first used."""
        super().__init__(**options)
        self.settings_class = settings_class
        self.is_ready = False
        self.is_stopping = False

    @cached_property
    def settings(self) -> S:
        """The settings, read from the environment once."""
        loaded = settings.load(self.settings_class)
        if loaded.metrics and is_worker_process():
            raise SettingsError(
                f"{settings.variable(self.settings_class, 'metrics')}: must be false if there are several processes, "
                "because each would return only its own metrics; alternatively, run one process per container"
            )
        return loaded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Report invalid settings to any server, which would otherwise log a traceback."""
        if scope["type"] == "lifespan":
            try:
                _ = self.settings
            except SettingsError as error:
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
        await super().__call__(scope, receive, send)

    def hide_routes(self) -> None:
        """Remove the routes that are switched off."""
        off: set[str | None] = set() if self.settings.metrics else {"/metrics"}
        if not self.settings.docs:
            off |= {self.openapi_url, self.docs_url, self.redoc_url, self.swagger_ui_oauth2_redirect_url}
        self.router.routes[:] = [route for route in self.routes if getattr(route, "path", "") not in off]

    def openapi(self) -> dict[str, Any]:
        """Add the server URL, and the header of every response, to FastAPI's OpenAPI document."""
        header = {"description": "ID of the request in the logs", "required": True, "schema": {"type": "string"}}
        schema = super().openapi()
        schema.setdefault("servers", [{"url": self.root_path or "/"}])
        schema.setdefault("security", [])
        for operations in schema["paths"].values():
            for operation in operations.values():
                for response in operation["responses"].values():
                    response.setdefault("headers", {})["x-request-id"] = header
        return schema

    def begin_shutdown(self) -> None:
        """Report not ready, and set a deadline for the process, in case C code in a thread never returns."""
        self.is_ready = False
        if not self.is_stopping:
            self.is_stopping = True
            seconds = self.settings.drain_seconds + self.settings.grace_seconds + 1.5
            faulthandler.dump_traceback_later(seconds, exit=True, file=logs.open_without_blocking())

    def build_middleware_stack(self) -> ASGIApp:
        """Add telemetry and limits outside of all other middleware, where `add_middleware` cannot add them."""
        return RequestTelemetry(RequestLimits(super().build_middleware_stack(), self), self)


def create_app(
    settings: type[S],
    *,
    lifespan: Callable[[FastAPI, S], AbstractAsyncContextManager[Any]] | None = None,
    **fastapi_options: Any,
) -> Service[S]:
    """Return a FastAPI app that is a complete service. Add your routes to it.

    Args:
        settings: the class of the settings.
        lifespan: opens and closes resources that requests share, like FastAPI's `lifespan`, but with the settings
            as a second argument.
        fastapi_options: additional arguments for FastAPI.

    """

    @asynccontextmanager
    async def service_lifespan(app: Service[S]) -> AsyncGenerator[Any]:
        loaded: Any = app.settings
        logs.configure_if_missing(loaded.log_level)
        app.root_path = loaded.root_path or app.root_path
        app.hide_routes()
        async with lifespan(app, loaded) if lifespan else nullcontext() as state:
            app.is_ready = True
            yield state
            app.is_ready = False

    # A redirect to the path with or without a slash would contain the Host header, which the client controls.
    defaults = {"responses": RESPONSES, "redirect_slashes": False, "generate_unique_id_function": operation_id}
    options = {**defaults, **fastapi_options}
    options["exception_handlers"] = HANDLERS | options.get("exception_handlers", {})
    app = Service(settings, lifespan=service_lifespan, **options)
    app.add_route("/healthz", get_healthz, include_in_schema=False)
    app.add_route("/readyz", get_readyz, include_in_schema=False)
    app.add_route("/metrics", get_metrics, include_in_schema=False)
    return app


def operation_id(route: APIRoute) -> str:
    """Return the name of the route's function, which generated clients use as the name of their function."""
    return route.name


def is_worker_process() -> bool:
    """Return whether another server, such as `uvicorn --workers`, may run the app in several processes."""
    is_reloaded = not {"--reload", "dev"}.isdisjoint(sys.argv)
    return "gunicorn" in sys.modules or (multiprocessing.parent_process() is not None and not is_reloaded)


def run(app: Service[Any], prog: str) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit status.

    The status is 0 after a normal shutdown, 1 if a WebSocket route needs a missing package, 2 if a setting is missing
    or invalid, or 3 if the lifespan fails at startup or shutdown, or the port is in use.
    """
    try:
        settings = app.settings
    except SettingsError as error:
        print_error(error, prog)
        return 2
    logs.configure(settings.log_level)
    config = uvicorn.Config(
        app,
        host=settings.bind_host(),
        port=settings.port,
        backlog=BACKLOG,
        http=Protocol,
        ws_max_size=settings.max_body_bytes,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=settings.grace_seconds,
    )
    config.load()
    routes = [context.original_route for context in iter_route_contexts(app.routes)]
    if config.ws_protocol_class is None and any(isinstance(route, WebSocketRoute) for route in routes):
        print(f"{prog}: WebSocket routes need the package websockets; add it to the dependencies", file=sys.stderr)
        return 1
    server = Server(config)
    server.run()
    return 3 if server.lifespan.should_exit else 0


async def get_healthz(_request: Request) -> Response:
    """Report that the process responds."""
    return JSONResponse({"status": "ok"})


async def get_readyz(request: Request) -> Response:
    """Report whether to send requests: not before startup has finished, and not after SIGTERM."""
    if request.app.is_ready:
        return JSONResponse({"status": "ok"})
    return problem(503, "The service is starting or shutting down.")


async def get_metrics(_request: Request) -> Response:
    """Return the metrics for Prometheus."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
