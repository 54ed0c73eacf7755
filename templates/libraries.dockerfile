# List the Debian packages of the libraries that the extension modules and executables are linked with, for
# the final image. If a module opens a library by name, add that library's package below this step:
# `RUN echo libmagic1t64 >>/packages`.
ARG OPTIONAL_LIBRARIES
RUN python - {{ modules }} <<'EOT' >/packages
import os
import re
import sys
from pathlib import Path
from subprocess import run

optional = os.environ.get("OPTIONAL_LIBRARIES", "").split()
patterns = set()
for directory in sys.argv[1:]:
    for module in Path(directory).rglob("*"):
        if module.is_symlink() or not module.is_file() or module.open("rb").read(4) != b"\x7fELF":
            continue
        linked = run(["ldd", module], capture_output=True, text=True).stdout
        for library in set(re.findall(r"(\S+) => not found", linked)).difference(optional):
            sys.exit(
                f"{module} needs {library}, which is not installed. Add its Debian package to the step that installs gcc; "
                "or, if the program works without the library, add it to OPTIONAL_LIBRARIES."
            )
        patterns |= set(re.findall(r"=> /(?:usr/)?(lib/\S+)", linked))
owners = run(["dpkg-query", "--search", *(f"*{name}" for name in patterns)], capture_output=True, text=True).stdout
print(*sorted(set(re.findall(r"^([^:\s]+):(?:\w+:)? ", owners, re.M))), sep="\n")
EOT

# Without an instruction like this at the end of the stage, podman may reuse a step of a later stage although the
# files that it mounts from this stage have changed. The label is not part of the final image.
LABEL stage=compile-image
