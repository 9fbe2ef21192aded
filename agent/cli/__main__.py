"""`python -m agent.cli`: the same command, for those who start it with their own interpreter (`up` does)."""

from agent.cli import main

if __name__ == "__main__":
    main()
