"""The app: FastAPI with limits, logs, metrics, probes and problem documents."""

import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import cached_property
from typing import Any, TypeVar

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import ASGIApp

from . import logs, settings
from .middleware import RequestLimits, RequestTelemetry
from .problems import HANDLERS, RESPONSES, problem
from .server import Protocol, Server
from .settings import ServiceSettings, SettingsError

S = TypeVar("S", bound=ServiceSettings)


class Service(FastAPI):
    """A FastAPI app whose limits and telemetry also cover the exceptions that no handler expects."""

    def __init__(self, settings_class: type[ServiceSettings], **options: Any) -> None:
        """Create the app; its settings are read when they are first used."""
        super().__init__(**options)
        self.settings_class = settings_class
        self.is_ready = False

    @cached_property
    def settings(self) -> ServiceSettings:
        """The settings, read from the environment once."""
        return settings.load(self.settings_class)

    def build_middleware_stack(self) -> ASGIApp:
        """Put telemetry and limits around everything else, where `add_middleware` cannot put them."""
        return RequestTelemetry(RequestLimits(super().build_middleware_stack(), self), self)


def create_app(
    settings: type[S],
    *,
    lifespan: Callable[[FastAPI, S], AbstractAsyncContextManager[Any]] | None = None,
    **fastapi_options: Any,
) -> Service:
    """Return a FastAPI app that is the whole service, to which you add your routes.

    Args:
        settings: the class of the settings.
        lifespan: opens what requests share and closes it at the end, like FastAPI's `lifespan`; is also
            called with the settings.
        fastapi_options: further arguments of FastAPI.

    """

    @asynccontextmanager
    async def service_lifespan(app: Service) -> AsyncGenerator[Any]:
        loaded: Any = app.settings
        logs.configure_if_missing(loaded.log_level)
        async with lifespan(app, loaded) if lifespan else nullcontext() as state:
            app.is_ready = True
            yield state
            app.is_ready = False

    options = {"responses": RESPONSES, **fastapi_options}
    options["exception_handlers"] = HANDLERS | options.get("exception_handlers", {})
    app = Service(settings, lifespan=service_lifespan, **options)
    app.add_route("/healthz", get_healthz, include_in_schema=False)
    app.add_route("/readyz", get_readyz, include_in_schema=False)
    app.add_route("/metrics", get_metrics, include_in_schema=False)
    return app


def run(app: Service, prog: str) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit status: 0, or 2 if a setting is missing or invalid."""
    try:
        settings = app.settings
    except SettingsError as error:
        for line in str(error).splitlines():
            print(f"{prog}: {line}", file=sys.stderr)
        return 2
    logs.configure(settings.log_level)
    config = uvicorn.Config(
        app,
        host=settings.bind_host(),
        port=settings.port,
        http=Protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=settings.grace_seconds,
    )
    Server(config).run()
    return 0


async def get_healthz(_request: Request) -> Response:
    """Respond as long as the process can."""
    return JSONResponse({"status": "ok"})


async def get_readyz(request: Request) -> Response:
    """Report whether to send requests: not before startup has finished, and not after SIGTERM."""
    if request.app.is_ready:
        return JSONResponse({"status": "ok"})
    return problem(503, "The service is starting or shutting down.")


async def get_metrics(_request: Request) -> Response:
    """Return the metrics for Prometheus."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
