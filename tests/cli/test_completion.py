"""Completion in a shell."""

import os
import shutil
import subprocess
import sys

import click
import pytest

import difffilter as df
from difffilter.cli import cli, completion


def completed(words, cwd):
    """The completions of the last word, as bash is given them: ``type,value``."""
    code = (
        "import sys\n"
        "from difffilter.cli import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    heavy = {'torch', 'numba', 'matplotlib', 'scipy', 'skimage', 'PIL'} & set(sys.modules)\n"
        "    assert not heavy, heavy\n"
    )
    environment = os.environ | {
        "_DIFFFILTER_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["difffilter", *words]),
        "COMP_CWORD": str(len(words)),
    }
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert result.stderr == ""
    return result.stdout.splitlines()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ca"], ["plain,calibrate"]),
        (["smooth", "--diff"], ["plain,--diffusivity"]),
        (["smooth", "ph"], ["file,ph"]),
        (["smooth", "-m", "per"], ["plain,perona_malik"]),
        (["smooth", "a.png", "--scheme", "f"], ["plain,fsi"]),
        (["smooth", "a.png", "--kappa", "m"], ["plain,mad"]),
        (["estimate", "--noise", "s"], ["plain,speckle"]),
        (["inpaint", "-m", "edge"], ["plain,edge_enhancing"]),
        (["inpaint", "a.png", "--mask", "m"], ["file,m"]),
        (["noise", "--noise", "s"], ["plain,speckle", "plain,salt_and_pepper"]),
        (["compare", "a.png", "--noise", "c"], ["plain,camera", "plain,correlated"]),
        (["compare", "a.png", "-m", "al"], ["plain,all"]),
        (["evolve", "a.png", "--weights", ""],
         ["plain,bias-free-gray", "plain,natural-color", "plain,natural-color-real",
          "plain,natural-gray", "plain,natural-gray-real", "plain,auto"]),
        (["sample", "--weights", "my/"], ["file,my/"]),
        (["train", "photos", "--preset", "gray-s"], ["plain,gray-small"]),
        (["train", "photos", "--preset", "deep"], ["plain,deep-gray", "plain,deep-color"]),
        (["train", "photos", "-m", "learned", "--preset", ""],
         ["plain,deep-gray", "plain,deep-color", "plain,convex-gray", "plain,convex-color"]),
        (["train", "photos", "--method", "l"], ["plain,learned"]),
        (["train", "photos", "-m", "learned", "--init", "deep-g"], ["plain,deep-gray"]),
        (["train", "photos", "--init", "natural-gray-"], ["plain,natural-gray-real"]),
        (["train", "photos", "--init", "deep"], ["file,deep"]),
        (["report", "res"], ["dir,res"]),
    ],
)  # fmt: skip
def test_words_are_completed_without_heavy_imports(tmp_path, words, expected):
    assert completed(words, tmp_path) == expected


def test_every_method_is_completed(tmp_path):
    assert completed(["smooth", "-m", ""], tmp_path) == [f"plain,{name}" for name in df.methods()]


def test_the_labels_of_a_study_are_completed(tmp_path):
    (tmp_path / "study.toml").write_text('[denoisers]\nheat = "heat"\nmine = "mine:Best(a=1)"\n')
    labels = ["plain,identity", "plain,heat", "plain,mine"]
    assert completed(["bench", "study.toml", "-m", ""], tmp_path) == labels
    assert completed(["bench", "study.toml", "-m", "heat", "-m", "m"], tmp_path) == labels[2:]
    for before in ([], ["missing.toml"]):
        assert completed(["bench", *before, "-m", "tv"], tmp_path) == ["plain,tv_flow"]


def test_names_that_are_written_twice_agree():
    pytest.importorskip("torch")
    from difffilter.inpainting.catalog import inpainters
    from difffilter.pde.solve.schemes import DIFFUSIVITIES, SCHEMES
    from difffilter.training import PRESETS

    assert tuple(DIFFUSIVITIES) == completion.DIFFUSIVITIES
    assert ("auto", *SCHEMES) == completion.SCHEMES
    assert tuple(inpainters()) == completion.INPAINTERS
    presets = {
        method: tuple(name for name, config in PRESETS.items() if config.method == method)
        for method in completion.TRAINED
    }
    assert presets == completion.PRESETS
    assert sum(map(len, presets.values())) == len(PRESETS)


def test_every_text_argument_is_completed():
    """By files, folders or words; click completes text by nothing."""
    without = {
        parameter.name
        for command in cli.commands.values()
        for parameter in command.params
        if parameter.type.name == "text" and not getattr(parameter, "hidden", False)
        if not parameter.shell_complete(click.Context(command), "")
    }
    # They cannot be listed.
    assert without == {
        *(
            "axes",
            "colour",
            "data",
            "negative",
            "away",
            "toward",
            "prompt",
            "scheduler",
            "sigmas",
            "template",
            "texts",
        )
    }


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_bash_completes_methods_and_files(tmp_path):
    (tmp_path / "photo.png").touch()
    script = tmp_path / "difffilter"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m difffilter "$@"\n')
    script.chmod(0o755)
    commands = (
        'eval "$(_DIFFFILTER_COMPLETE=bash_source difffilter)"\n'
        "COMP_WORDS=(difffilter smooth photo.png -m edge); COMP_CWORD=4\n"
        "_difffilter_completion difffilter 2>/dev/null\n"
        'echo "${COMPREPLY[@]}"\n'
    )
    result = subprocess.run(
        ["bash", "-c", commands], cwd=tmp_path, capture_output=True, text=True, check=True,
        env=os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
    )  # fmt: skip
    assert result.stdout == "edge_enhancing\n"
