"""Copy what a Python program needs from this image, besides its own packages, to the directory of a new image.

    python minimal.py DIRECTORY [PACKAGE ...]

These files are the interpreter and its standard library, the contents of the named Debian packages and of the packages
that they depend on, every shared library that one of them or an installed extension module is linked with,
certificates, and time zones. Programs and documentation are left out. For security scanners, the records of the Debian
packages are copied too, as in distroless images:
https://github.com/GoogleContainerTools/distroless/blob/main/PACKAGE_METADATA.md

Missing libraries are ignored, because runtime-image loads all extension modules while it is built.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

DATE = 315532800  # 1980-01-01, the earliest date that a zip file can store
DPKG = Path("/var/lib/dpkg")
# Files that the C library, Python and OpenSSL open by name.
PATHS = [
    "/etc/debian_version",
    "/etc/gai.conf",
    "/etc/group",
    "/etc/host.conf",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl/certs/ca-certificates.crt",
    "/usr/lib/locale",
    "/usr/lib/ssl/cert.pem",
    "/usr/lib/ssl/certs",
    "/usr/lib/ssl/openssl.cnf",
    "/usr/share/zoneinfo",
]
# Programs open the C library's parts by name, and the C library opens libgcc_s.so.1 when a thread ends.
PACKAGES = ["libc6", "libgcc-s1"]
# Mount points and writable directories, with their permissions.
DIRECTORIES = {"dev": 0o755, "proc": 0o555, "sys": 0o555, "tmp": 0o1777, "var/tmp": 0o1777}
# Parts of the standard library that need a compiler, a display, a terminal, a debugger or Berkeley DB, that install
# packages, that are tests or documentation, or that replace modules written in C.
UNUSED = re.compile(
    r"/(config-[^/]*|dist-packages|ensurepip|idlelib|lib2to3|pydoc_data|site-packages|test|tkinter|turtledemo)/"
    r"|/lib-dynload/(_curses|_dbm|_gdbm|_remote_debugging|_tkinter|readline)"
    r"|/lib-dynload/(_ctypes_test|_test|_xxtestfuzz|xxlimited|xxsubtype)"
    r"|/(turtle|_pydatetime|_pydecimal|_pyio)\."
)
# Programs, documentation, translations, and the character sets of iconv, in Debian packages.
EXCLUDED = re.compile(r"/s?bin/|/usr/(games|share/(bash-completion|bug|doc|info|lintian|locale|man))/|/gconv/")


def files_below(path: Path) -> Iterator[Path]:
    """Yield a file, or all files in a directory; nothing if the path does not exist."""
    if path.is_dir() and not path.is_symlink():
        yield from (file for file in path.rglob("*") if file.is_symlink() or not file.is_dir())
    elif os.path.lexists(path):
        yield path


def python_files() -> Iterator[Path]:
    """Yield the interpreter, under all of its names, and the files of its standard library."""
    names = ("python", "python3", f"python{sysconfig.get_python_version()}")
    for directory in {Path(sys.base_prefix, "bin"), Path("/usr/local/bin")}:
        yield from (directory / name for name in names if os.path.lexists(directory / name))
    library = files_below(Path(sysconfig.get_path("stdlib")))
    yield from (file for file in library if not UNUSED.search(str(file)))


def package_files() -> dict[Path, str]:
    """Map each file of a Debian package to the package, named as in dpkg's database: `libc6:amd64`."""
    return {
        Path(name).parent.resolve() / Path(name).name: file.stem
        for file in DPKG.glob("info/*.list")
        for name in file.read_text("utf-8").splitlines()
    }


def with_dependencies(packages: set[str], installed: set[str]) -> set[str]:
    """Return packages, and the installed packages that they depend on, directly or indirectly."""
    found: set[str] = set()
    while packages:
        found |= packages
        command = ["dpkg-query", "--show", "--showformat=${Pre-Depends},${Depends},", *packages]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        # Each name may be followed by an architecture and a version: `libc6:any (>= 2.38) | libc6.1`
        packages = installed.intersection(re.findall(r"(?:^|[,|])\s*([^\s,|(:]+)", listed)) - found
    return found


def linked_libraries(files: Iterable[Path]) -> set[Path]:
    """Return the shared libraries that files are linked with, directly or indirectly."""
    modules = [file for file in files if file.is_file() and file.open("rb").read(4) == b"\x7fELF"]
    output = subprocess.run(["ldd", *modules], capture_output=True, text=True, check=False).stdout
    return {Path(name) for name in re.findall(r"(/\S+) \(0x", output)}


def copy(path: Path, directory: Path) -> Path:
    """Copy a file, and every symbolic link on the way to it; return its path without symbolic links."""
    if not path.exists():  # a link to nothing, or to itself
        return path
    real, parts = Path("/"), list(path.parts[1:])
    while parts:
        part = parts.pop(0)
        real = real.parent if part == ".." else real / part
        target = directory / real.relative_to("/")
        if real.is_symlink():
            link = real.readlink()
            if not target.is_symlink():
                target.symlink_to(link)
            parts = [*link.relative_to(link.anchor).parts, *parts]
            real = Path("/") if link.is_absolute() else real.parent
        elif real.is_dir():
            target.mkdir(exist_ok=True)
        elif not target.exists():
            shutil.copy2(real, target)
    return real


def copy_records(packages: set[str], directory: Path) -> None:
    """Copy the copyright notices, the records, and the checksums of Debian packages."""
    names = {package: package.partition(":")[0] for package in packages}
    for name in names.values():
        copy(Path("/usr/share/doc", name, "copyright"), directory)
    records = directory / "var/lib/dpkg/status.d"
    records.mkdir(parents=True)
    for package, name in names.items():
        status = subprocess.run(["dpkg-query", "--status", package], capture_output=True, check=True).stdout
        (records / name).write_bytes(status)
        lines = (DPKG / "info" / f"{package}.md5sums").read_text("utf-8").splitlines(keepends=True)
        copied = [line for line in lines if (directory / line.split(maxsplit=1)[1].rstrip("\n")).is_file()]
        (records / f"{name}.md5sums").write_text("".join(copied), "utf-8")


def date_source(bytecode: Path) -> None:
    """Change the date of the source that bytecode contains, because Python ignores bytecode with another date."""
    with bytecode.open("r+b") as stream:
        # The format is described in PEP 552; a flag other than 0 means that bytecode contains a hash instead of a date.
        if stream.read(8)[4:] == bytes(4):
            stream.write(DATE.to_bytes(4, "little"))


def main(directory: Path, names: set[str]) -> None:
    """Copy the files, and date them 1980-01-01, so that the image is reproducible."""
    owners = package_files()
    installed = {owner.partition(":")[0] for owner in owners.values()}
    if unknown := names - installed:
        sys.exit(f"The Debian package {min(unknown)} is not installed. Use a name that `dpkg --list` shows.")
    names = with_dependencies(names, installed)
    chosen = {file for file, owner in owners.items() if owner.partition(":")[0] in names and not file.is_dir()}
    paths = {*python_files(), *(file for file in chosen if not EXCLUDED.search(str(file)))}
    paths |= {file for path in PATHS for file in files_below(Path(path))}
    modules = {file for path in sys.path if path.endswith("-packages") for file in Path(path).rglob("*.so*")}
    directory.mkdir()
    # Libraries in wheels are copied with their packages, to another layer.
    packages = {"site-packages", "dist-packages"}
    libraries = {path for path in linked_libraries(paths | modules) if not packages & set(path.parts)}
    copied = {copy(path, directory) for path in paths | libraries}
    copy_records({owners[path] for path in copied if path in owners}, directory)
    for name in ("python", "python3"):
        if not os.path.lexists(link := directory / "usr/local/bin" / name):
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(os.path.realpath(sys.executable))
    for name, mode in DIRECTORIES.items():
        (directory / name).mkdir(parents=True, exist_ok=True)
        (directory / name).chmod(mode)
    subprocess.run(["ldconfig", "-X", "-r", directory], check=True)
    for path in [directory, *directory.rglob("*")]:
        if path.suffix == ".pyc":
            date_source(path)
        os.utime(path, (DATE, DATE), follow_symlinks=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), {*PACKAGES, *sys.argv[2:]})
