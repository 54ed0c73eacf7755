"""The `crc32c` command: its options, and what they make it do."""

import argparse

from .jobs import MOST_JOBS, usable_cpus
from .lists import check_list, print_list
from .output import Output, OutputLostError

CHECK_ALONE = ("quiet", "status", "strict")


def job_count(text: str) -> int:
    """Read how many files to read at once; 0 becomes the number of CPUs.

    Raises:
        argparse.ArgumentTypeError: the text is no number from 0 to MOST_JOBS.

    """
    if text.isdecimal() and int(text) <= MOST_JOBS:
        return int(text) or usable_cpus()
    raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to {MOST_JOBS}")


def add_crc32c(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command and its options."""
    parser = commands.add_parser("crc32c", help="print the CRC-32C of each file, or check them")
    parser.add_argument("names", nargs="*", default=["-"], metavar="FILE", help="'-', the default, is standard input")
    parser.add_argument(
        "-c", "--check", action="store_true", help="read such checksums from each FILE, and check the files they name"
    )
    parser.add_argument("--quiet", action="store_true", help="with --check: print no line for a file that is OK")
    parser.add_argument("--status", action="store_true", help="with --check: print nothing, the exit status tells")
    parser.add_argument("--strict", action="store_true", help="with --check: an improperly formatted line is a failure")
    parser.add_argument(
        "-j",
        "--jobs",
        default=1,
        type=job_count,
        metavar="N",
        help="read N files at once, 0: one for each CPU (default: %(default)s)",
    )
    # So that what argparse itself cannot refuse is refused in the same way.
    parser.set_defaults(refuse=parser.error)


def run_crc32c(options: argparse.Namespace, prog: str) -> int:
    """Print or check the checksums.

    Args:
        options: what the options described above give.
        prog: the program's name.

    Returns:
        The exit status: 0, or 1 when a file is not as it should be or the output cannot be written.

    """
    for option in CHECK_ALONE:
        if getattr(options, option) and not options.check:
            options.refuse(f"--{option} is only for --check")
    output = Output(prog)
    try:
        if not options.check:
            good = print_list(options.names, output, jobs=options.jobs)
        else:
            flags = {option: getattr(options, option) for option in CHECK_ALONE}
            results = [check_list(name, output, jobs=options.jobs, **flags) for name in options.names]
            good = all(results)
    except OutputLostError:
        return 1
    except RuntimeError as error:
        output.complain(f"--jobs {options.jobs}: {error}")
        return 1
    finally:
        output.clear()
    return 0 if good else 1
