# Compile the modules of the standard library that the project uses. The slim image contains no bytecode, and the
# program, which is not root, cannot write any, so each start would compile them again. This step and its layer stay
# cached until the project imports other modules. Bytecode without dates (unchecked-hash) from a process of its own,
# and directories that keep their dates, make the layer reproducible.
RUN --mount=type=bind,from=compile-image,source=/imports.txt,target=/imports.txt \
    python -B - <<'EOT'
import importlib
import sys
from pathlib import Path

for line in Path("/imports.txt").read_text().splitlines():
    name = line.split()[1]
    try:
        importlib.import_module(name)
    except ImportError:
        print(f"skipped: {name} cannot be imported here")
# Before the tools below are imported, which the program may not need.
specs = [module.__spec__ for module in sys.modules.values() if getattr(module, "__spec__", None)]

import os
import subprocess
import sysconfig

stdlib = sysconfig.get_path("stdlib") + os.sep
files = {spec.origin: Path(spec.cached) for spec in specs if spec.cached and spec.origin.startswith(stdlib)}
files = {source: cached for source, cached in sorted(files.items()) if not cached.exists()}
folders = {folder for cached in files.values() for folder in (cached.parent, cached.parent.parent)}
dates = {folder: folder.stat().st_mtime for folder in folders if folder.exists()}
compileall = [sys.executable, "-B", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
subprocess.run([*compileall, *files], check=True)
for path in (*files.values(), *folders):
    os.utime(path, (dates.get(path, 315532800),) * 2)
EOT
