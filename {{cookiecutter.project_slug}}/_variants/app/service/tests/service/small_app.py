"""A small service for the tests of this package, with a route of each kind."""

import asyncio
from typing import Annotated

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import AfterValidator, BaseModel
from starlette.background import BackgroundTask

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


def reject_13(number: int) -> int:
    if number == 13:
        raise ValueError("13 is not accepted")
    return number


@app.get("/typed")
async def get_typed(number: Annotated[int, AfterValidator(reject_13)]) -> int:
    return number


@app.get("/slow")
async def get_slow() -> None:
    await asyncio.sleep(0.5)


@app.post("/drip")
async def post_drip() -> StreamingResponse:
    async def chunks():
        for _ in range(5):
            yield b"drop"
            await asyncio.sleep(0.1)

    return StreamingResponse(chunks())


@app.get("/fail")
async def get_fail() -> None:
    raise RuntimeError("secret of the route")


@app.get("/fail-halfway")
async def get_fail_halfway() -> StreamingResponse:
    async def chunks():
        yield b"first"
        raise RuntimeError("secret of the route")

    return StreamingResponse(chunks(), headers={"content-length": "100"})


@app.get("/raise/{status}")
async def get_raise(status: int, text: bool = True) -> None:
    raise HTTPException(status, "wrong" if text else {"field": "wrong"}) from FileNotFoundError()


@app.post("/upload")
async def post_upload() -> None:
    """Fail as FastAPI does if it cannot store the body of an upload."""
    try:
        raise OSError("disk full")
    except OSError as error:
        raise HTTPException(400, "There was an error parsing the body") from error


@app.get("/cancel")
async def get_cancel() -> None:
    task = asyncio.ensure_future(asyncio.sleep(60))
    asyncio.get_running_loop().call_soon(task.cancel)
    await task


@app.post("/background")
async def post_background() -> JSONResponse:
    def fail():
        raise RuntimeError

    return JSONResponse("accepted", background=BackgroundTask(fail))


admin = FastAPI()
app.mount("/admin", admin)


@admin.get("/page")
async def get_page() -> str:
    return "page"
