#!/bin/sh
# Installs this bundle into a virtualenv, without network access:  sh install.sh TARGET
#
# TARGET is created if it does not exist. Running this again is safe, even after an interruption or over an
# older release. Set PYTHON to the interpreter if it is not on PATH under its usual name.
set -eu
# Other users must be able to run the program, so the umask of the caller is not used.
umask 022

# Python runs in isolated mode (-I): it imports nothing from the current directory, PYTHONPATH or the user's packages,
# because root may run this anywhere. -B: it writes no bytecode of the modules that it imports.
run_python() {
    program=$1
    shift
    "$program" -I -B "$@"
}

bundle=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

fail() {
    printf 'install.sh: %s.\n' "$1" >&2
    exit "${2:-1}"
}

# Prints the platform that compiled wheels depend on. Line 1: interpreter. Line 2: system, architecture and C library.
describe() {
    run_python "$1" -c '
import platform, sys, sysconfig
name = "CPython" if sys.implementation.name == "cpython" else sys.implementation.name
threads = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
print(name, "%d.%d" % sys.version_info[:2] + threads)
print(sysconfig.get_platform(), platform.libc_ver()[0] or "without glibc")' 2>/dev/null
}

line() {
    printf '%s\n' "$2" | sed -n "${1}p"
}

# Runs when the bundle is built: records the platform, and the digests that each installation verifies.
seal() {
    cd "$bundle"
    describe python3 >PLATFORM
    find PLATFORM install.sh requirements.* pip wheels -type f -exec sha256sum {} + | sort -k 2 >SHA256SUMS
}

# Prints the path of an interpreter that can use the wheels.
find_python() {
    needed=$(cat "$bundle/PLATFORM" 2>/dev/null) || fail "PLATFORM is missing from the bundle; unpack a fresh copy"
    version=$(line 1 "$needed" | cut -d ' ' -f 2)
    python=${PYTHON:-$(command -v "python$version" || command -v python3 || command -v python || true)}
    [ -n "$python" ] || fail "no Python found; install Python $version, or set PYTHON to its path"
    found=$(describe "$python") || fail "$python does not run; set PYTHON to the path of a Python $version"
    [ "$(line 1 "$found")" = "$(line 1 "$needed")" ] ||
        fail "$python is $(line 1 "$found"), but the bundle needs $(line 1 "$needed"); set PYTHON to its path"
    [ "$(line 2 "$found")" = "$(line 2 "$needed")" ] ||
        fail "this host is $(line 2 "$found"), but the bundle is for $(line 2 "$needed"); use a bundle for this host"
    printf '%s\n' "$python"
}

verify() {
    damaged=$(cd "$bundle" && sha256sum --check --quiet SHA256SUMS 2>&1) ||
        fail "the bundle is damaged: $(line 1 "$damaged"); unpack a fresh copy"
}

prepare() {
    if [ -z "$repair" ]; then
        if [ -e "$target" ] && [ ! -e "$target/pyvenv.cfg" ] && [ -n "$(ls -A "$target")" ]; then
            fail "$target exists and is not a virtualenv; choose a virtualenv, an empty directory or a new path"
        fi
        if [ -e "$target/bin/python" ] && [ "$(describe "$target/bin/python")" != "$(cat "$bundle/PLATFORM")" ]; then
            fail "$target was created by a different Python; delete it, or choose another directory"
        fi
    fi
    { mkdir -p "$target" && touch "$target/.incomplete"; } 2>/dev/null ||
        fail "cannot write to $target; choose another directory, or run this as another user"
    [ -z "$repair" ] || rm -f "$target"/bin/python*
    [ -e "$target/bin/python" ] || run_python "$python" -m venv --without-pip "$target"
}

# Runs pip from its wheel, so that the virtualenv does not contain pip. pip fails if a dependency of the project is not
# among the wheels.
install() {
    run_python "$target/bin/python" "$(echo "$bundle"/pip/*.whl)/pip" --isolated install --quiet \
        --disable-pip-version-check --no-index --no-cache-dir --find-links "$bundle/wheels" \
        --require-hashes --requirement "$bundle/requirements.txt" "$@"
}

[ $# -eq 1 ] || fail "usage: sh install.sh TARGET" 2
case $1 in
--seal)
    seal
    exit
    ;;
-*) fail "usage: sh install.sh TARGET" 2 ;;
# A virtualenv cannot have such a path, or the shell would expand the path at the start of the program.
*[:\"\$\`\\]* | *'
'*) fail 'the path of a virtualenv must not contain a colon, a line break, or one of " $ ` \; choose another path' ;;
esac
target=$1
python=$(find_python)
verify
# After an interrupted run, reinstall everything, because files may be incomplete.
repair=
[ ! -e "$target/.incomplete" ] || repair=--ignore-installed
prepare
install $repair
rm "$target/.incomplete"
printf 'Installed into %s.\n' "$target"
