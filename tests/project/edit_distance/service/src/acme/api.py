"""The HTTP API."""

from pydantic import BaseModel

from . import __version__, distance, service
from .settings import Settings

app = service.create_app(Settings, title="Edit distances", version=__version__)


class Texts(BaseModel):
    """Two texts."""

    a: str
    b: str


class Distance(BaseModel):
    """The edit distance of two texts."""

    distance: int


@app.post("/distances")
def create_distance(texts: Texts) -> Distance:
    """Return the edit distance of two texts."""
    return Distance(distance=distance(texts.a, texts.b))
