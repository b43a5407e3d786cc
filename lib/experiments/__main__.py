"""`python -m lib.experiments gpu`: experiments of cost together. One alone: `python -m lib.experiments.<module>`."""

import sys


def main(arguments: list[str]) -> int:
    """Run a command; returns its exit code. The only one is gpu."""
    if arguments[:1] != ["gpu"]:
        asked = arguments[:1] in (["-h"], ["--help"])
        print(__doc__ if asked else f"{' '.join(arguments[:1]) or 'no command'}: the only one is gpu\n{__doc__}")
        return 0 if asked else 2
    try:
        from lib.experiments.gpu import command
    except ModuleNotFoundError as error:
        helps = f"`{sys.executable} -m pip install .` in the folder of the repository"
        print(f"{sys.executable} lacks {error.name}: {helps}", file=sys.stderr)
        return 1
    return command.main(arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
