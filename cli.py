"""Run the command line from a checkout: python cli.py smooth img.png"""

from difffilter.cli.main import main

if __name__ == "__main__":
    main()
