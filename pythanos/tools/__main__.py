"""``python -m pythanos.tools``: the command ``pythanos`` where its script is not installed."""

from pythanos.tools.main import main

if __name__ == "__main__":
    main()
