"""Runs undertone-plan as `python -m undertone_planner`."""

from undertone_planner.cli import main

if __name__ == "__main__":
    main()
