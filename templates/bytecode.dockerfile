# Compile the modules of the standard library that the project imports. The slim image contains no bytecode, and the
# program, which is not root, cannot write any, so each start would compile them again. The layer is the same until
# the project imports other modules: compileall runs in a process of its own and does not store the date of a source
# (unchecked-hash), and directories keep their dates. The project is unpacked in memory, and -B writes no bytecode.
RUN --mount=type=bind,from=compile-image,source=/wheels,target=/wheels \
    --mount=type=tmpfs,target=/tmp \
    python -B -m zipfile --extract /wheels/{{ cookiecutter.package_name }}-*.whl /tmp/project && python -B - <<'EOT'
import pkgutil
import sys
from importlib import import_module

sys.path.insert(0, "/tmp/project")
package = import_module("{{ cookiecutter.package_name }}")
for module in pkgutil.walk_packages(package.__path__, "{{ cookiecutter.package_name }}."):
    try:
        # __main__ would run the program.
        module.name.endswith(".__main__") or import_module(module.name)
    except Exception as error:
        print(f"{module.name} cannot be imported during the build: {error!r}")
specs = [getattr(module, "__spec__", None) for module in sys.modules.values()]

import os
import subprocess
import sysconfig

stdlib = sysconfig.get_path("stdlib") + os.sep
files = {s.origin: s.cached for s in specs if s and s.cached and s.origin.startswith(stdlib)}
files = {source: cached for source, cached in sorted(files.items()) if not os.path.exists(cached)}
caches = {os.path.dirname(cached) for cached in files.values()}
dates = {path: os.stat(path).st_mtime for path in caches | {os.path.dirname(path) for path in caches} if os.path.exists(path)}
command = ["-B", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
subprocess.run([sys.executable, *command, *files], check=True)
for path in (*files.values(), *caches, *dates):
    os.utime(path, (dates.get(path, 315532800),) * 2)
EOT
