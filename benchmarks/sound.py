"""Gains on noisy sounds: the DDPM, the PDE filters, spectral gating and the Wiener filter.

    apt-get install sonic-pi-samples pocketsphinx-testdata
    pip install 'difffilter[sound,ddpm,peers]'
    python benchmarks/sound.py --split FOLDER                           # what to train on
    difffilter train FOLDER --method sound -o RUN
    python benchmarks/sound.py -o benchmarks/results/sound.md
    python benchmarks/sound.py --pde FOLDER -o benchmarks/results/sound_pde.md
    python benchmarks/sound.py --time-only -o benchmarks/results/sound.md   # on an idle machine

A sixth of the sounds of Sonic Pi, chosen by the checksum of their names, and all of the speech are for
testing alone. Every method but one sees the noisy sound and nothing else.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import soundfile
from peers.sound import Wiener, spectral_gating
from scipy.signal import lfilter, resample_poly
from scripting import describe, medians, table, write_report

from difffilter.sound import denoise, denoise_file, make, si_sdr
from difffilter.sound.files import read

SONIC_PI = Path("/usr/share/sonic-pi/samples")
SPEECH = Path("/usr/share/pocketsphinx/test/data")

TIME = "## Time\n"
SNRS = (0, 5, 10, 20)
NOISES = ("white", "hiss", "babble")
SECONDS = 4
# Of a recorded groove there are two versions; both are for testing. And a recording of hiss is noise.
TESTED, LEFT_OUT = "loop_amen", "vinyl_hiss"
TOLD = "spectral gating, given 0.5 s of the noise"

METHODS = {
    "ddpm": lambda noisy, rate, _: denoise(noisy, rate),
    "perona_malik": lambda noisy, rate, _: denoise(noisy, rate, "perona_malik"),
    "coherence_enhancing": lambda noisy, rate, _: denoise(noisy, rate, "coherence_enhancing"),
    "heat": lambda noisy, rate, _: denoise(noisy, rate, "heat"),
    "Wiener, decision-directed": lambda noisy, rate, _: denoise(noisy, rate, Wiener()),
    "spectral gating": lambda noisy, rate, _: spectral_gating(noisy, rate),
    "spectral gating, stationary": lambda noisy, rate, _: spectral_gating(
        noisy, rate, stationary=True
    ),
    TOLD: lambda noisy, rate, noise: spectral_gating(
        noisy, rate, stationary=True, y_noise=noise[: rate // 2]
    ),
}


@dataclass(frozen=True)
class Clip:
    """A clean sound of a few seconds, one channel."""

    name: str
    samples: np.ndarray
    rate: int


def is_for_testing(path):
    """Whether a sound of Sonic Pi is never trained on."""
    checksum = int(hashlib.sha256(path.name.encode()).hexdigest(), 16)
    return checksum % 6 == 0 or path.name.startswith(TESTED)


def link_sounds(folder):
    """Fill a folder with links to the sounds for training."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(SONIC_PI.glob("*.flac")):
        if not is_for_testing(path) and path.stem != LEFT_OUT:
            (folder / path.name).symlink_to(path)


def clip_of(path):
    """The first seconds of a file, the mean of its channels; a short one again and again."""
    samples, rate = read(path)
    once = np.concatenate((samples.mean(axis=1), np.zeros(round(0.3 * rate), np.float32)))
    needed = SECONDS * rate
    return Clip(path.stem, np.tile(once, -(-needed // len(once)))[:needed], rate)


def scaled(noise, clean, snr):
    """The noise at a ratio of the sound to it in dB."""
    power = np.mean(clean**2) / 10 ** (snr / 10)
    return noise * np.sqrt(power / np.mean(noise**2))


def noise_like(kind, clip, voices, rng):
    """Noise of a kind, of the length of a clip."""
    n = len(clip.samples)
    if kind == "babble":
        total = np.zeros(n)
        for voice in voices:
            if voice.name != clip.name:
                talk = resample_poly(voice.samples, clip.rate, voice.rate)
                total += np.roll(np.resize(talk / talk.std(), n), rng.integers(n))
        return total
    white = rng.standard_normal(n)
    # Hiss rises with the frequency: 22 dB from the lowest to the highest.
    return white if kind == "white" else lfilter([1, -0.85], [1], white)


def measure(clips, voices):
    """Gains in SI-SDR (clips,), by noise, method and SNR; for speech, PESQ and STOI before and after."""
    gains, speech = {}, {}
    for number, clip in enumerate(clips):
        for kind in NOISES:
            rng = np.random.default_rng([number, NOISES.index(kind)])
            noise = noise_like(kind, clip, voices, rng)
            for snr in SNRS:
                added = scaled(noise, clip.samples, snr)
                noisy = (clip.samples + added).astype(np.float32)
                before = si_sdr(clip.samples, noisy)
                results = {"noisy": noisy} | {
                    name: method(noisy, clip.rate, added) for name, method in METHODS.items()
                }
                for name, result in results.items():
                    gain = si_sdr(clip.samples, result) - before
                    gains.setdefault((kind, name, snr), []).append(gain)
                    if clip.rate == 16000:
                        heard = quality(clip.samples, result)
                        speech.setdefault((kind, name, snr), []).append(heard)
    return gains, speech


def quality(clean, result):
    """PESQ (wide band) and STOI of speech at 16 kHz."""
    from pesq import pesq
    from pystoi import stoi

    return pesq(16000, clean, result, "wb", on_error=1), stoi(clean, result, 16000)


def gains_of(gains):
    """The tables of gains, one a noise."""

    def worst(kind, name):
        return f"{np.min(gains[kind, name, 0]):+.1f}"

    lines = []
    for kind in NOISES:
        rows = [
            [name, *(f"{np.mean(gains[kind, name, snr]):+.1f}" for snr in SNRS), worst(kind, name)]
            for name in METHODS
        ]
        head = [kind, *(f"{snr} dB" for snr in SNRS), "worst at 0 dB"]
        lines += [*table(head, rows), ""]
    return lines


def scores_of(speech):
    """The tables of PESQ and STOI, one a noise."""
    lines = []
    for kind in NOISES:
        rows = []
        for name in ("noisy", *METHODS):
            means = [np.mean(speech[kind, name, snr], axis=0) for snr in SNRS]
            rows.append([name, *(f"{pesq:.2f}, {stoi:.3f}" for pesq, stoi in means)])
        lines += [*table([kind, *(f"{snr} dB" for snr in SNRS)], rows), ""]
    return lines


def equations(folder):
    """The report on the parameters of the PDE filters, chosen on sounds for training."""
    clips = [clip_of(path) for path in sorted(folder.glob("*.flac"))[::8]]
    settings = [("heat", {"time": time, "beta": beta}) for time in (1, 2, 4) for beta in (1.3, 2)]
    settings += [
        ("perona_malik", {"time": time, "kappa": kappa, "beta": beta})
        for time, kappa in ((2, 0.03), (2, 0.05), (2, 0.1), (5, 0.05))
        for beta in (1.3, 2)
    ]
    settings += [("coherence_enhancing", {"time": time, "beta": 1.3}) for time in (2, 10)]
    rows = []
    for name, parameters in settings:
        method, means = make(name, **parameters), []
        for snr in SNRS:
            gains = []
            for number, clip in enumerate(clips):
                noise = np.random.default_rng(number).standard_normal(len(clip.samples))
                added = scaled(noise, clip.samples, snr)
                noisy = (clip.samples + added).astype(np.float32)
                result = denoise(noisy, clip.rate, method, sigma=float(added.std()))
                gains.append(si_sdr(clip.samples, result) - si_sdr(clip.samples, noisy))
            means.append(np.mean(gains))
        text = ", ".join(f"{key} {value}" for key, value in parameters.items())
        rows.append([name, text, *(f"{mean:+.1f}" for mean in means)])
    return [
        "# Parameters of the PDE filters on sounds", "",
        f"`python benchmarks/sound.py --pde FOLDER`: gain in SI-SDR / dB on {len(clips)} sounds for "
        f"training, {SECONDS} s each, with white noise of known σ.", "",
        *table(["equation", "parameters", *(f"{snr} dB" for snr in SNRS)], rows),
    ]  # fmt: skip


def durations():
    """The section about time."""
    rate, rows = 44100, []
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for channels in (1, 2):
            source = Path(folder) / f"{channels}.wav"
            soundfile.write(source, 0.1 * rng.standard_normal((60 * rate, channels)), rate)
            runs = {
                name: lambda name=name, source=source: denoise_file(
                    source, source.with_name("out.wav"), make(name), overwrite=True
                )
                for name in ("ddpm", "perona_malik", "heat")
            }
            rows += [
                [name, f"{channels}", f"{taken:.1f} s"] for name, taken in medians(runs, 3).items()
            ]
    about = describe("numpy", "torch", "soundfile")
    return [
        TIME, f"A file of 60 s at 44.1 kHz, read, estimated, denoised and written, median of 3. {about}; "
        f"{date.today()}.", "", *table(["method", "channels", "time"], rows),
    ]  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", type=Path, metavar="FOLDER")
    parser.add_argument("--pde", type=Path, metavar="FOLDER")
    parser.add_argument("--time-only", action="store_true")
    parser.add_argument("--every", type=int, default=1, help="only every so many sounds")
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    if arguments.split:
        link_sounds(arguments.split)
        return
    if arguments.pde:
        write_report(equations(arguments.pde), arguments.output)
        return
    if arguments.time_only:
        before = arguments.output.read_text("utf-8").split(TIME)[0].rstrip("\n").split("\n")
        write_report([*before, "", *durations()], arguments.output)
        return
    paths = [path for path in sorted(SONIC_PI.glob("*.flac")) if is_for_testing(path)]
    sounds = [clip_of(path) for path in paths[:: arguments.every]]
    voices = [clip_of(path) for path in sorted(SPEECH.glob("*/*.wav"))]
    gains, _ = measure(sounds, voices)
    spoken, heard = measure(voices[:: arguments.every], voices)
    about = describe("numpy", "torch", "noisereduce", "pesq", "pystoi")
    lines = [
        "# Noisy sounds",
        "",
        f"`python benchmarks/sound.py`: {len(sounds)} sounds of Sonic Pi that were not trained on "
        f"and {len(voices[:: arguments.every])} utterances (nothing was trained on speech), "
        f"{SECONDS} s each, one channel. Every method estimates the noise from the noisy sound; "
        "the Wiener filter with the estimate of difffilter, spectral gating (noisereduce) with its own "
        f"and its defaults, once from a sample of the noise. {about}; {date.today()}.",
        "",
        "## Sounds never heard in training: gain in SI-SDR / dB",
        "",
        *gains_of(gains),
        "## Speech: gain in SI-SDR / dB",
        "",
        *gains_of(spoken),
        "## Speech: PESQ (wide band, up to 4.64), STOI",
        "",
        *scores_of(heard),
    ]
    write_report(lines, arguments.output)


if __name__ == "__main__":
    main()
