"""python -m difffilter"""

from difffilter.cli.main import main

main()
