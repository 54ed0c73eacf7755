"""A small service for the tests of this package, with a route of each kind."""

import sys

from fastapi import Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from {{ cookiecutter.package_name }} import service

app = service.create_app(service.ServiceSettings, title="Small app", version="1")


class Item(BaseModel):
    """The request and the response of the JSON route."""

    number: int


@app.post("/json")
async def post_json(item: Item) -> Item:
    return Item(number=2 * item.number)


@app.post("/stream")
async def post_stream(request: Request) -> dict[str, int]:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
    return {"bytes": size}


@app.post("/large")
@service.max_body("7MB")
async def post_large(request: Request) -> dict[str, int]:
    return await post_stream(request)


@app.get("/typed")
async def get_typed(number: int) -> int:
    return number


@app.get("/fail")
async def get_fail() -> None:
    raise RuntimeError("secret of the route")


@app.get("/fail-halfway")
async def get_fail_halfway() -> StreamingResponse:
    async def chunks():
        yield b"first"
        raise RuntimeError("secret of the route")

    return StreamingResponse(chunks(), headers={"content-length": "100"})


if __name__ == "__main__":
    sys.exit(service.run("__main__:app", "small-app"))
