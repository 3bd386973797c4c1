"""python -m difffilter"""

from difffilter.cli import main

main()
