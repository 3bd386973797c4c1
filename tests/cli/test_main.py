"""The command line as a whole: help, start-up, exit codes, missing libraries."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from command import invoke, invoke_error, invoke_ok, run

import difffilter as df
from difffilter.catalog import usual_method
from difffilter.cli import cli


def test_version_and_exit_code_of_a_process(tmp_path):
    result = run("--version", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, f"difffilter, version {df.__version__}\n")
    result = run("smooth", "missing.png", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr == "error: there is no file missing.png; check the path\n"


def test_from_a_checkout(tmp_path):
    script = Path(__file__).parents[2] / "cli.py"
    result = subprocess.run([sys.executable, script, "--version"], cwd=tmp_path, check=True,
                            capture_output=True, text=True)  # fmt: skip
    assert result.stdout == f"difffilter, version {df.__version__}\n"


@pytest.mark.parametrize("command", [None, *cli.commands])
def test_help_has_an_example(tmp_path, command):
    text = invoke_ok(*filter(None, [command]), "--help", cwd=tmp_path)
    assert re.search(rf"Examples?[^\n]*:\n +difffilter {command or ''}", text)


def test_summaries_of_commands_are_whole(tmp_path):
    text = invoke_ok("--help", cwd=tmp_path)
    listed = re.findall(r"^  (\w+) +(.*)$", text.partition("Commands:")[2], re.M)
    assert [name for name, _ in listed] == list(cli.commands)
    assert not [summary for _, summary in listed if not re.match(r"[A-Z].*[^.]\.$", summary)]


def test_help_names_the_default_method(tmp_path):
    text = " ".join(invoke_ok("smooth", "--help", cwd=tmp_path).split())
    assert f"[default: {usual_method(False)}]" in text


def test_no_arguments_show_the_help(tmp_path):
    result = invoke(cwd=tmp_path)
    assert result.returncode == 2
    assert "Commands:" in result.stdout


def test_help_imports_nothing_heavy(tmp_path):
    code = (
        "import sys; from difffilter.cli import cli; cli.main(['--help'], standalone_mode=False); "
        "heavy = {'torch', 'numba', 'matplotlib', 'numpy', 'scipy', 'skimage', 'PIL'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=tmp_path)


def test_all_but_the_learned_method_works_without_torch(folder):
    def without_torch(*arguments):
        code = "import sys; sys.modules['torch'] = None; from difffilter.cli import main; "
        return subprocess.run(
            [sys.executable, "-c", f"{code} main({arguments})"],
            cwd=folder, capture_output=True, text=True,
        )  # fmt: skip

    assert without_torch("smooth", "grey.png").returncode == 0
    text = without_torch("compare", "grey.png", "--sigma", "0.1")
    assert text.stderr == "left out: ddpm needs torch: pip install 'difffilter[ddpm]'\n"
    assert "perona_malik" in text.stdout
    assert "pip install 'difffilter[ddpm]'" in without_torch("methods").stdout
    assert "  deep-gray " in without_torch("weights").stdout
    text = without_torch("smooth", "grey.png", "-m", "ddpm", "-o", "out.png")
    assert text.returncode == 2
    assert text.stderr == "error: ddpm needs torch: pip install 'difffilter[ddpm]'\n"


def test_an_unknown_option_is_one_line(folder):
    assert "No such option" in invoke_error("smooth", "grey.png", "--volum", cwd=folder)
