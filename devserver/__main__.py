"""`python -m devserver` is the command `devserver`."""

from devserver.cli import main

if __name__ == "__main__":
    main()
