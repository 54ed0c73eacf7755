"""Tell how many layers of each stage can be found again: `python3 held.py NAME [CACHE ...]`.

The stages are the images NAME:compile-image and NAME:runtime-image; what both have is the base image. Looked into are
the image that runs, and caches that `docker build --cache-to type=local,dest=CACHE` has exported.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

STAGES = ("compile-image", "runtime-image")


def layers(image: str) -> set[str]:
    """Return the digests of an image's layers, as they are unpacked."""
    inspect = subprocess.run(["docker", "image", "inspect", image], check=True, stdout=subprocess.PIPE)
    return set(json.loads(inspect.stdout)[0]["RootFS"]["Layers"])


def blob(cache: Path, digest: str) -> Any:
    """Read a file of a cache, an OCI layout, which names its files by their digests."""
    return json.loads((cache / "blobs" / digest.replace(":", "/")).read_text("utf-8"))


def exported(cache: Path) -> set[str]:
    """Return the digests of the layers that a cache holds, as they are unpacked."""
    index = json.loads((cache / "index.json").read_text("utf-8"))
    manifest = blob(cache, index["manifests"][0]["digest"])
    # Older versions of BuildKit write a list of manifests, and the configuration among them.
    entries = manifest.get("layers") or manifest["manifests"]
    return {entry["annotations"]["containerd.io/uncompressed"] for entry in entries if "annotations" in entry}


def main() -> None:
    """Count, for the image and for each cache."""
    name, *caches = sys.argv[1:]
    stages = {stage: layers(f"{name}:{stage}") for stage in STAGES}
    base = set.intersection(*stages.values())
    for where, found in [("the image", stages["runtime-image"]), *((name, exported(Path(name))) for name in caches)]:
        counts = [f"{len((own - base) & found)} of {len(own - base)} of {stage}" for stage, own in stages.items()]
        print(f"{where}: {', '.join(counts)}")


if __name__ == "__main__":
    main()
