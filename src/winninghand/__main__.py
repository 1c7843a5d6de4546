"""The program, as `python -m winninghand`."""

from winninghand.cli.main import main

if __name__ == "__main__":
    main()
