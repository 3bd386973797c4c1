"""
Speckle
=======
"""
