"""`python -m devserver` is the command `devserver`."""

import sys

if __name__ == "__main__":
    # `-m` puts the current folder in front: a student's random.py must not become ours.
    del sys.path[0]

    from devserver.cli import main

    main()
