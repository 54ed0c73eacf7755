"""Count the layers of each stage that are cached: `python3 cached_layers.py NAME [CACHE ...]`.

The stages are the images NAME:compile-image and NAME:runtime-image. Layers that both images have belong to the base
image and are not counted. The others are looked up in runtime-image, and in the caches, which were exported with
`docker build --cache-to type=local,dest=CACHE`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

STAGES = ("compile-image", "runtime-image")


def layers(image: str) -> set[str]:
    """Return the digests of an image's uncompressed layers."""
    inspect = subprocess.run(["docker", "image", "inspect", image], check=True, stdout=subprocess.PIPE)
    return set(json.loads(inspect.stdout)[0]["RootFS"]["Layers"])


def read_blob(cache: Path, digest: str) -> Any:
    """Read a file of a cache, which is an OCI layout: its files are named after their digests."""
    return json.loads((cache / "blobs" / digest.replace(":", "/")).read_text("utf-8"))


def exported_layers(cache: Path) -> set[str]:
    """Return the digests of the uncompressed layers in a cache."""
    index = json.loads((cache / "index.json").read_text("utf-8"))
    manifest = read_blob(cache, index["manifests"][0]["digest"])
    # Older versions of BuildKit write a list of manifests, which also contains the configuration.
    entries = manifest.get("layers") or manifest["manifests"]
    return {entry["annotations"]["containerd.io/uncompressed"] for entry in entries if "annotations" in entry}


def main() -> None:
    """Print the number of layers in the image and in each cache."""
    name, *caches = sys.argv[1:]
    stages = {stage: layers(f"{name}:{stage}") for stage in STAGES}
    base = set.intersection(*stages.values())
    for where, found in [
        ("the image", stages["runtime-image"]),
        *((name, exported_layers(Path(name))) for name in caches),
    ]:
        counts = [f"{len((own - base) & found)} of {len(own - base)} of {stage}" for stage, own in stages.items()]
        print(f"{where}: {', '.join(counts)}")


if __name__ == "__main__":
    main()
