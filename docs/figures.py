"""Pictures for the documentation.

The filters' pages call `photograph` and `side_by_side` when they are built. The pictures that the
README and the guide show are files, written by

    python docs/figures.py [FILE ...]
"""

import sys
from pathlib import Path
from textwrap import wrap

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from skimage.util import img_as_float32

import difffilter as df

HERE = Path(__file__).parent
DPI = 170


def photograph(sigma=25 / 255):
    """A clean photograph of 192×192 pixels in [0, 1], and a noisy copy, both float32."""
    clean = img_as_float32(data.camera()[60:252, 140:332])
    return clean, df.add_noise(clean, sigma)


def side_by_side(*, clean=None, rows=1, width=1.9, **images):
    """Images in rows under their names, with their PSNR if there is a clean one.

    The fonts stay as they are, so the smaller the `width` of an image, in inches, the larger they
    are beside it.
    """
    if clean is not None:
        images = {"clean": clean, **images}
    columns = -(-len(images) // rows)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(width * columns, (width + 0.35) * rows),
        layout="constrained",
        squeeze=False,
    )
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (name, image) in zip(axes.flat, images.items(), strict=False):
        title = name.replace("_", " ")
        if clean is not None and image is not clean:
            title += f"\n{df.psnr(clean, np.clip(image, 0, 1)):.1f} dB"
        axis.imshow(np.clip(image, 0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axis.set_title(title, fontsize=9)
    return figure


def learned_filters(weights="deep-gray", count=8):
    """Filters of a learned diffusion, and its influence functions beside Perona–Malik's."""
    from difffilter.pde.weights import load

    stages = load(weights).stages[:4]
    figure = plt.figure(figsize=(8, 6.2), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(4, 2.2))
    for axes, stage in zip(above.subplots(len(stages), count), stages, strict=True):
        s = stage.cell
        strongest = np.argsort(-np.square(stage.filters).sum(axis=(1, 2, 3)))[:count]
        for axis, index in zip(axes, strongest, strict=True):
            cells = stage.filters[index].reshape(s, s, 3, 3)
            pixels = cells.transpose(2, 0, 3, 1).reshape(3 * s, 3 * s)
            most = np.abs(pixels).max()
            axis.imshow(pixels, cmap="gray", vmin=-most, vmax=most)
            axis.set_axis_off()
    n = np.linspace(-6, 6, 241)
    for axis, stage, number in zip(
        below.subplots(1, 4, sharey=True), stages, (1, 2, 3, 4), strict=True
    ):
        strongest = np.argsort(-np.square(stage.filters).sum(axis=(1, 2, 3)))[:count]
        for index in strongest:
            response = np.zeros((len(n), len(stage.kappa)))
            response[:, index] = n / np.sqrt(1 + n**2)
            hidden = response @ stage.mixing[:, :, 1, 1].T + stage.bias
            influence = np.maximum(0, hidden) @ stage.influence.T + stage.level
            own = influence[:, index] - influence[len(n) // 2, index]
            axis.plot(n, own, linewidth=0.8)
        axis.plot(n, n / (1 + n**2), "k--", linewidth=1.2, label="Perona–Malik")
        axis.set(xlabel="h / κσ", title=f"step {number}")
        axis.grid(alpha=0.3)
    figure.axes[-4].set_ylabel("φ / κσ")
    figure.axes[-1].legend(fontsize=7)
    return figure


def convex_filters(weights="convex-gray", count=8):
    """Filters of a convex learned diffusion, and their influence functions."""
    from difffilter.pde.weights import load

    banks = load(weights).banks
    figure = plt.figure(figsize=(8, 5.2), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(3, 2.2))
    rows, curves = above.subplots(len(banks), count), below.subplots(1, len(banks), sharey=True)
    for axes, own, bank in zip(rows, curves, banks, strict=True):
        size = bank.filters.shape[2]
        length = np.sqrt(np.square(bank.filters).sum(axis=(1, 2, 3)))
        strongest = np.argsort(-bank.slopes[:, 0] * length**2)[:count]
        for axis, index in zip(axes, strongest, strict=True):
            most = np.abs(bank.filters[index]).max()
            axis.imshow(bank.filters[index, 0], cmap="gray", vmin=-most, vmax=most)
            axis.set_axis_off()
        for index in strongest:
            knots = np.concatenate([[0], bank.knots[index], [3 * length[index]]])
            rises = np.append(bank.slopes[index], 0) * np.diff(knots)
            values = np.concatenate([[0], np.cumsum(rises)])
            own.plot(
                np.concatenate([-knots[::-1], knots]) / length[index],
                np.concatenate([-values[::-1], values]) * length[index],
                linewidth=0.8,
            )
        own.set(xlabel="h / |w| σ", title=f"{size}×{size} pixels", xlim=(-3, 3))
        own.grid(alpha=0.3)
    curves[0].set_ylabel("φ |w| / σ")
    return figure


def compare():
    """The README's picture: the two kinds of diffusion on a photograph."""
    clean, noisy = photograph()
    methods = ("heat", "perona_malik", "edge_enhancing", "ddpm")
    images = {"clean": clean, "noisy": noisy}
    images |= {name: df.denoise(noisy, method=name) for name in methods}
    detail = slice(35, 145), slice(60, 170)
    return side_by_side(width=1.5, **{name: image[detail] for name, image in images.items()})


def deepinverse():
    """The guide's plug-and-play deblurring, with two methods as the prior."""
    import deepinv
    import torch

    from difffilter.integrations.deepinv import to_deepinv

    clean, _ = photograph()
    photo = torch.from_numpy(clean)[None, None]
    physics = deepinv.physics.BlurFFT(
        img_size=(1, *clean.shape),
        filter=deepinv.physics.functional.gaussian_blur(sigma=1.5),
        noise_model=deepinv.physics.GaussianNoise(0.01, rng=torch.Generator().manual_seed(0)),
    )
    blurred = physics(photo)
    images = {"clean": clean, "blurred, with noise": blurred[0, 0].numpy()}
    for method in ("perona_malik", "ddpm"):
        model = deepinv.optim.HQS(
            data_fidelity=deepinv.optim.L2(),
            prior=deepinv.optim.PnP(to_deepinv(method)),
            stepsize=10.0,
            sigma_denoiser=np.geomspace(0.2, 0.01, 8).tolist(),
            max_iter=8,
        )
        with torch.no_grad():
            images[f"{method} as the prior"] = model(blurred, physics)[0, 0].numpy()
    detail = slice(35, 145), slice(60, 170)
    return side_by_side(**{name: image[detail] for name, image in images.items()})


def weight_files(steps=600):
    """A photograph denoised by a DnCNN from a file, which is first trained for a few minutes."""
    import tempfile

    import torch
    from skimage.util import view_as_windows
    from spandrel.architectures.DnCNN import DnCNN

    from difffilter.integrations.spandrel import from_file

    pictures = [data.coins(), data.moon(), data.brick(), data.grass(), data.page()]
    windows = [view_as_windows(p, (48, 48), 24).reshape(-1, 48, 48) for p in pictures]
    patches = torch.from_numpy(np.concatenate(windows) / np.float32(255))[:, None]
    torch.manual_seed(0)
    net = DnCNN(in_nc=1, out_nc=1, nc=32, nb=8, act_mode="R")
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, steps)
    for _ in range(steps):
        clean = patches[torch.randint(len(patches), (16,))]
        noisy = clean + 25 / 255 * torch.randn(clean.shape)
        optimiser.zero_grad()
        torch.nn.functional.mse_loss(net(noisy), clean).backward()
        optimiser.step()
        schedule.step()
    clean, noisy = photograph()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dncnn.pth"
        torch.save(net.state_dict(), path)
        network = from_file(path, black=0, white=1)
        images = {"DnCNN from a file": df.denoise(noisy, 25 / 255, network)}
    images |= {"perona_malik": df.denoise(noisy, 25 / 255, "perona_malik")}
    detail = slice(35, 145), slice(60, 170)
    images = {"noisy": noisy, **images}
    return side_by_side(clean=clean[detail], **{name: u[detail] for name, u in images.items()})


def filters():
    """The PDEs for Gaussian noise, on the same photograph."""
    clean, noisy = photograph()
    methods = (
        "heat",
        "perona_malik",
        "edge_enhancing",
        "coherence_enhancing",
        "tv_flow",
        "curvature_motion",
        "forward_backward",
    )
    results = {name: df.denoise(noisy, method=name) for name in methods}
    return side_by_side(clean=clean, noisy=noisy, **results, rows=3)


def photographs():
    """A photograph with a camera's noise, and what the guide's commands make of it, at 2:1."""
    noisy = df.add_noise(data.coffee(), 0.0894, "camera(quality=90)", channel_axis=-1)
    images = {
        "from the camera": noisy,
        "smooth": df.denoise(noisy, channel_axis=-1),
        "smooth -m ddpm": df.denoise(noisy, method="ddpm", channel_axis=-1),
        "half of the grain": df.denoise(
            noisy, method="ddpm", strength=0.5, chroma=1, channel_axis=-1
        ),
    }
    detail = slice(90, 230), slice(130, 270)
    return side_by_side(width=295 / DPI, **{name: image[detail] for name, image in images.items()})


def pieces():
    """An edge, a hump, a line and a photograph, 64×64, each with a hole that they end at."""
    y, x = np.mgrid[-31.5:32, -31.5:32]
    images = {
        "edge": 0.2 + 0.6 / (1 + np.exp(-2 * (x - 0.35 * y))),
        "hump": 0.9 - 0.0008 * (x**2 + y**2),
        "line": 0.25 + 0.6 * np.exp(-(((x - 0.35 * y) / 2) ** 4)),
        "photograph": data.camera()[120:184, 270:334] / 255,
    }
    holes = {name: np.hypot(x, y) < 11 for name in images}
    holes["line"] = abs(y) < 3
    return {name: (image.astype(np.float32), holes[name]) for name, image in images.items()}


def fillings(
    methods=("harmonic", "biharmonic", "edge_enhancing", "coherence_transport", "ddpm"),
):
    """Draw an edge, a hump, a line and a photograph that end at a hole, filled in by each method."""
    columns = ("image", "hole", *methods)
    figure, axes = plt.subplots(
        4, len(columns), figsize=(1.45 * len(columns), 6), layout="constrained"
    )
    for row, (name, (image, hole)) in zip(axes, pieces().items(), strict=True):
        marked = np.where(hole[..., None], (1.0, 0.4, 0.7), image[..., None])
        shown = [image, marked, *(df.inpaint(image, hole, method) for method in methods)]
        for axis, column, filled in zip(row, columns, shown, strict=True):
            axis.imshow(np.clip(filled, 0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            if axis in axes[0]:
                axis.set_title(column.replace("_", " "), fontsize=9)
        row[0].set_ylabel(name, fontsize=9)
    return figure


# Texts of the pictures of words.
TEXTS = (
    "a small red circle above a blue star",
    "a large green heart on a striped background",
    "a big yellow star in the centre",
    "grinning face",
    "red heart",
    "sailboat",
)


def words():
    """Pictures of texts, three of each."""
    from difffilter import generate

    figure, axes = plt.subplots(3, len(TEXTS), figsize=(1.5 * len(TEXTS), 4.9))
    for column, text in enumerate(TEXTS):
        for row, picture in enumerate(generate.images(text, 3, seed=1)):
            axes[row, column].imshow(picture)
            axes[row, column].axis("off")
        axes[0, column].set_title("\n".join(wrap(text, 18)), fontsize=8)
    figure.tight_layout(pad=0.4)
    return figure


def variations(count=6):
    """Variations of a picture, the way between two, and ways by words; the pictures first."""
    from difffilter import generate
    from difffilter.generate.rendering import render
    from difffilter.generate.scenes import Scene, Thing

    rng = np.random.default_rng(0)
    star = render(Scene((Thing("red", "star", "large", "centre"),), "plain"), rng)
    ring = render(Scene((Thing("blue", "ring", "small", "top"),), "striped"), rng)
    frog, fish = generate.images(["frog", "fish"], seed=1)
    away = "a large red star"
    ways = {
        "variations": (frog, {}),
        "to a fish": (frog, {"between": fish}),
        "to a ring": (star, {"between": ring}),
        "to blue": (star, {"toward": "a large blue star", "away": away}),
        "to a heart": (star, {"toward": "a large red heart", "away": away}),
    }
    figure, axes = plt.subplots(len(ways), count + 1, figsize=(1.25 * (count + 1), 6.2))
    for row, (name, (picture, how)) in zip(axes, ways.items(), strict=True):
        row[0].set_ylabel(name, fontsize=9)
        for axis, each in zip(row, [picture, *generate.vary(picture, count, **how)], strict=True):
            axis.imshow(each)
            axis.set(xticks=[], yticks=[])
    figure.tight_layout(pad=0.3)
    return figure


def from_noise(path, scales=(1, 5), side=112):
    """Write an animation of pictures on their way from noise, a row for each scale of guidance."""
    from PIL import Image, ImageDraw

    from difffilter import generate

    ways = [[made() for made in generate.path(TEXTS, guidance=scale, seed=1)] for scale in scales]
    frames = []
    for pictures in zip(*ways, strict=True):
        frame = Image.new("RGB", (side * len(TEXTS) + 28, side * len(scales)), "white")
        draw = ImageDraw.Draw(frame)
        for row, (scale, some) in enumerate(zip(scales, pictures, strict=True)):
            draw.text((2, side * row + side // 2 - 5), f"w={scale}", fill="black")
            for column, picture in enumerate(some):
                small = Image.fromarray((255 * picture).round().astype(np.uint8))
                large = small.resize((side - 4, side - 4), Image.Resampling.BICUBIC)
                frame.paste(large, (28 + side * column, side * row + 2))
        frames.append(frame)
    durations = [90] * (len(frames) - 1) + [2500]
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=durations, loop=0, quality=70
    )


def sound(name="guit_e_slide", snr=5):
    """Spectrograms of a sound of Debian's sonic-pi-samples: clean, noisy, restored."""
    from difffilter.sound import denoise, si_sdr
    from difffilter.sound.files import read
    from difffilter.sound.spectrogram import Transform

    samples, rate = read(f"/usr/share/sonic-pi/samples/{name}.flac")
    clean = samples.mean(axis=1)
    sigma = np.sqrt(np.mean(clean**2)) * 10 ** (-snr / 20)
    noise = np.random.default_rng(0).standard_normal(len(clean), dtype=np.float32)
    noisy = clean + np.float32(sigma) * noise
    sounds = {"clean": clean, "noisy": noisy}
    sounds |= {method: denoise(noisy, rate, method) for method in ("perona_malik", "ddpm")}
    figure, axes = plt.subplots(1, 4, figsize=(9.2, 2.6), layout="constrained", sharey=True)
    for axis, (title, shown) in zip(axes, sounds.items(), strict=True):
        level = 20 * np.log10(np.abs(Transform(rate)(shown)) + 1e-9)
        box = (0, len(clean) / rate, 0, rate / 2000)
        axis.imshow(
            level, cmap="magma", vmin=-70, vmax=10, origin="lower", aspect="auto", extent=box
        )
        title = title.replace("_", " ")
        if shown is not clean:
            title += f"\n{si_sdr(clean, shown):.1f} dB"
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("s", fontsize=8)
        axis.set_ylim(0, 8)
    axes[0].set_ylabel("kHz", fontsize=8)
    return figure


def page(path, width=1280, height=1110):
    """A screenshot of `difffilter view` in Chromium, for a photograph with noise of a camera."""
    import io
    import shutil
    import subprocess
    import tempfile
    import time

    from PIL import Image
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    folder = Path(tempfile.mkdtemp())
    noisy = df.add_noise(data.coffee(), 0.09, "camera(quality=90)", channel_axis=-1)
    Image.fromarray((255 * np.clip(noisy, 0, 1)).astype(np.uint8)).save(folder / "photo.png")
    command = ["view", "photo.png", "-m", "edge_enhancing", "--no-open"]
    server = subprocess.Popen(
        [sys.executable, "-m", "difffilter", *command],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    options = webdriver.ChromeOptions()
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(flag)
    browser = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    try:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get(server.stdout.readline().strip())
        while not browser.find_elements("css selector", ".curve svg"):
            time.sleep(0.1)
        time.sleep(1)
        Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB").save(
            path, quality=60
        )
    finally:
        browser.quit()
        server.terminate()
        server.wait()


if __name__ == "__main__":
    pictures = {
        "compare.png": compare,
        "deepinverse.png": deepinverse,
        "filters.png": filters,
        "photographs.jpg": photographs,
        "sound.png": sound,
        "variations.png": variations,
        "weight-files.png": weight_files,
        "words.png": words,
    }
    asked = sys.argv[1:] or [*pictures, "words.webp", "view.webp"]
    for name in asked:
        if name == "words.webp":
            from_noise(HERE / name)
        elif name == "view.webp":
            page(HERE / name)
        else:
            pictures[name]().savefig(HERE / name, dpi=DPI, bbox_inches="tight")
