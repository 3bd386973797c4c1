"""Run the command line from a checkout: python cli.py smooth img.png"""

from difffilter.__main__ import main

if __name__ == "__main__":
    main()
