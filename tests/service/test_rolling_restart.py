"""Two services behind nginx are restarted one after the other under load, without lost requests."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.conftest import HARDENED, Bake, Build, container, wait_until
from tests.service.test_service_faults import Service, load, network, network_options

pytestmark = pytest.mark.serial

ROUNDS = 3
# nginx tries the other service if one refuses a connection or closes a keep-alive connection. `non_idempotent` lets it
# repeat POST requests, which is safe because the service has no state. `max_fails=0` lets it try a service again at
# once instead of after ten seconds, because the other one may be restarting by then.
NGINX = r"""
FROM {base}
RUN apt-get update && apt-get install --yes --no-install-recommends nginx-light
COPY <<"CONFIGURATION" /etc/nginx/nginx.conf
daemon off;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    upstream services {{
        server 127.0.0.1:8001 max_fails=0;
        server 127.0.0.1:8002 max_fails=0;
        keepalive 32;
    }}
    server {{
        listen 8000;
        location / {{
            proxy_pass http://services;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_next_upstream error timeout non_idempotent;
        }}
    }}
}}
CONFIGURATION
CMD ["nginx"]
"""


def test_rolling_restart_loses_no_request(bake_once: Bake, build: Build) -> None:
    image = build(bake_once(project_slug="acme-sums", app="service", strategy="venv"))
    engine = image.engine
    proxy = f"{image.tag}-nginx"
    engine.docker("build", "--tag", proxy, "-", input=NGINX.format(base=image.base))
    with ExitStack() as stack:
        net = stack.enter_context(network(engine))
        nginx = stack.enter_context(container(engine, proxy, *network_options(net, "nginx")))
        services = []
        for port in (8001, 8002):
            # nginx resolves addresses only once, so all containers share one network namespace and a fixed address.
            where = (f"--network=container:{nginx}", "--env=ACME_SUMS_HOST=127.0.0.1", f"--env=ACME_SUMS_PORT={port}")
            services.append(Service(engine, stack.enter_context(container(engine, image.tag, *HARDENED, *where))))
        for service in services:
            wait_until(service.is_healthy)
        busy = stack.enter_context(load(image, net, "nginx", "8", "8", "/healthz"))
        for _ in range(ROUNDS):
            for service in services:
                service.docker("restart", "--timeout=25")
                wait_until(service.is_healthy)
        busy.stop()
        outcome = busy.outcome()
        for service in services:
            assert sum("Finished server process" in event["message"] for event in service.log()) == ROUNDS
    assert outcome["responses"].keys() == {"POST /crc32c 200", "GET /healthz 200"}
    assert (outcome["lost"], outcome["refused"]) == ({}, {})
