"""
Closing the gaps of a fingerprint
=================================
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage.measure import label

import difffilter as df

rng = np.random.default_rng(0)
y, x = np.mgrid[:160, :160]
ridges = 0.5 + 0.4 * np.cos(1.25 * np.hypot(x - 70, 0.7 * (y - 190)))
gaps = np.zeros(ridges.shape, bool)
for row, column in rng.integers(4, 156, (120, 2)):
    gaps |= np.hypot(y - row, x - column) < 2.5
broken = df.add_noise(np.where(gaps, 0.9, ridges), 0.1)
