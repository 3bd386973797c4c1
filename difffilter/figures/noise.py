"""A noise model as a figure: its strength by intensity, and its correlation."""

from __future__ import annotations

import numpy as np

from difffilter.noise.describe import channel_names, unit_of

__all__ = ["figure", "strength_figure"]

# The farthest lag shown, in pixels.
FARTHEST = 3


def figure(model):
    """Draw the standard deviation against intensity, and the correlation of pixels.

    Parameters
    ----------
    model : NoiseModel
        What `estimate_noise` returns.

    Returns
    -------
    matplotlib.figure.Figure
        Left: a line for each channel, with a marker at each intensity that was measured. Right: the
        correlation with the pixel up to 3 pixels down and to the right, the mean of the channels;
        it is the same up and to the left.
    """
    from matplotlib.figure import Figure

    factor, unit = unit_of(model)
    result = Figure(figsize=(9, 4), layout="constrained", dpi=120)
    left, right = result.subplots(1, 2, width_ratios=[1.35, 1])
    _draw_strength(left, model, factor, unit)
    _draw_correlation(right, model)
    kind = "White noise" if model.white else "Noise that is not white"
    result.suptitle(f"{kind}: σ = {factor * model.sigma:.3g}{unit} (root mean square)")
    return result


def strength_figure(model):
    """Draw the standard deviation against intensity alone, in a small figure.

    Parameters
    ----------
    model : NoiseModel
        What `estimate_noise` returns.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    factor, unit = unit_of(model)
    result = Figure(figsize=(5, 3.2), layout="constrained")
    axes = result.subplots()
    _draw_strength(axes, model, factor, unit)
    axes.set_title("")
    axes.set_ylabel("σ of the noise" + (" (1/255)" if unit else ""))  # which fits
    return result


def _draw_strength(axes, model, factor, unit):
    from matplotlib import colormaps

    names = channel_names(model.channels)
    if model.channels == 1:
        colours = ["black"]
    elif model.channels == 3:
        colours = [f"tab:{name}" for name in names]
    else:
        colours = colormaps["viridis"](np.linspace(0, 0.9, model.channels))
    if model.uniform:
        axes.axhline(factor * model.sigma, color="black")
        if unit:
            axes.set_xlim(0, factor)
        else:  # of whatever range
            axes.set_xticks([])
    else:
        for k, name in enumerate(names):
            axes.plot(
                factor * model.levels, factor * model.deviations[k],
                color=colours[k], marker="os^Dv"[k % 5], label=name,
            )  # fmt: skip
        if 1 < model.channels <= 8:
            axes.legend(title="channel" if names[0] == "1" else None)
    top = factor * model.deviations.max()
    axes.set_ylim(0, 1.15 * top if top > 0 else 1)
    axes.grid(alpha=0.3)
    units = " (1/255)" if unit else ""
    axes.set_xlabel(f"intensity{units}")
    axes.set_ylabel(f"standard deviation of the noise{units}")
    axes.set_title("Strength by intensity", fontsize=10)


def _draw_correlation(axes, model):
    values = model.correlation[FARTHEST:, FARTHEST:]
    axes.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1)
    for (row, column), value in np.ndenumerate(values):
        # (Rounded first, so that there is no -0.00.)
        axes.text(column, row, f"{round(float(value), 2) + 0.0:.2f}", ha="center", va="center",
                  color="white" if abs(value) > 0.6 else "black")  # fmt: skip
    ticks = range(FARTHEST + 1)
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    axes.set_xlabel("pixels to the right")
    axes.set_ylabel("pixels down")
    axes.set_title("Correlation of two pixels, by their distance", fontsize=10)
