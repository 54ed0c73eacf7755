# List the Debian packages of the libraries that the extension modules are linked with, for runtime-image. If a module
# opens a library by name, add its package: `RUN echo libmagic1 >>/packages`.
RUN python - {{ modules }} <<'EOT' >/packages
import re
import sys
from pathlib import Path
from subprocess import run

patterns = set()
for directory in sys.argv[1:]:
    for module in Path(directory).rglob("*.so*"):
        linked = run(["ldd", module], capture_output=True, text=True).stdout
        if missing := re.search(r"(\S+) => not found", linked):
            sys.exit(f"{module} needs {missing[1]}. Install the package that contains it where gcc is installed.")
        patterns |= set(re.findall(r"=> /(?:usr/)?(lib/\S+)", linked))
owners = run(["dpkg-query", "--search", *(f"*{name}" for name in patterns)], capture_output=True, text=True).stdout
print(*sorted(set(re.findall(r"^([^:\s]+):(?:\w+:)? ", owners, re.M))), sep="\n")
EOT

# Without an instruction like this at the end of the stage, podman may reuse a step of runtime-image although the files
# that it mounts from this stage have changed. The label is not part of runtime-image.
LABEL stage=compile-image

