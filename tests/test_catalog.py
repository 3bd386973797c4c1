"""Names become Denoisers."""

import dataclasses
import re
import subprocess
import sys

import numpy as np
import pytest

import difffilter as df
from difffilter.catalog import CATALOG, MissingExtra, describe, spell


@pytest.mark.parametrize("name", df.methods())
def test_every_name_makes_a_frozen_denoiser_with_a_docstring(name):
    denoiser = df.make(name)
    assert isinstance(denoiser, df.Denoiser)
    assert type(denoiser).__doc__
    assert spell(denoiser) == name
    with pytest.raises(dataclasses.FrozenInstanceError):
        denoiser.anything = 1
    assert hash(denoiser) == hash(df.make(name))


def test_parameters_in_the_text():
    method = df.make("perona_malik(kappa=25/255, diffusivity='tukey', spacing=(3, 1, 1))")
    assert method == df.PeronaMalik(kappa=25 / 255, diffusivity="tukey", spacing=(3, 1, 1))
    assert df.make("perona_malik(kappa=0.1)", kappa=0.2).kappa == 0.2
    assert df.make(spell(method)) == method
    assert df.make(" heat ( time = 1e-1 ) ").time == 0.1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("perona", "unknown method 'perona'; did you mean 'perona_malik'?"),
        ("zzz", "unknown method 'zzz'; there are: " + ", ".join(CATALOG)),
        ("heat(tme=1)", "heat has no parameter 'tme'; did you mean 'time'?"),
        ("heat(1)", "cannot read the method 'heat(1)'; write name or name(key=value, ...)"),
        ("heat(time=__import__('os'))", "cannot read the method"),
        ("heat(time=1/0)", "cannot read the method"),
        ("heat(**{'time': 1})", "cannot read the method"),
        ("heat(time=", "cannot read the method"),
        ("", "cannot read the method ''"),
        ("heat.real", "cannot read the method"),
        ("heat(time=" + "(" * 500, "cannot read the method"),
        ("nowhere.at_all:Method", "there is no module 'nowhere.at_all' for the method"),
        (
            "difffilter.denoiser:Idenity",
            "difffilter.denoiser has no class 'Idenity'; did you mean 'Identity'?",
        ),
        ("difffilter.catalog:make", "difffilter.catalog has no class 'make'"),
        ("difffilter.catalog:MissingExtra", "is not a Denoiser: it cannot be called with an image"),
        ("difffilter.pde.heat:Heat(tme=1)", "has no parameter 'tme'; did you mean 'time'?"),
        ("os:system('ls')", "cannot read the method"),
        (":Heat", "cannot read the method"),
        ("a:b:Heat", "cannot read the method"),
        ("perona_malik(kappa=0)", "kappa is 0; expected a finite number > 0"),
        ("PeronaMalik", "unknown method 'PeronaMalik'; did you mean 'perona_malik'?"),
        ("HEAT", "unknown method 'HEAT'; did you mean 'heat'?"),
        ("perona malik", "cannot read the method 'perona malik'"),
        (
            "heat(kappa=1)",
            "heat has no parameter 'kappa'; these methods have it: perona_malik, "
            "edge_enhancing, coherence_enhancing, forward_backward",
        ),
        (
            "heat(mask=1)",
            "heat has no parameter 'mask'; only the function has it: "
            "difffilter.heat(image, mask=...)",
        ),
        ("ddpm(mask=1)", "ddpm has no parameter 'mask'; these functions have it: heat, "),
    ],
)
def test_bad_texts(text, message):
    with pytest.raises(ValueError, match=r".") as caught:
        df.make(text)
    assert message in str(caught.value)


def test_words_of_a_name_may_be_joined_by_hyphens():
    assert df.make("perona-malik") == df.PeronaMalik()
    assert df.make("edge-enhancing(kappa=1e-1)") == df.EdgeEnhancing(kappa=0.1)


def test_a_class_or_a_function_in_place_of_a_method_is_named(photo):
    with pytest.raises(TypeError) as caught:
        df.denoise(photo, method=df.Heat)
    assert str(caught.value) == "method is the class Heat; expected an instance: Heat()"
    with pytest.raises(TypeError) as caught:  # it would take σ for a time
        df.denoise(photo, 0.1, method=df.heat)
    assert str(caught.value) == (
        "method is the function heat, whose second argument is time; expected sigma there, or the "
        "name 'heat'"
    )
    with pytest.raises(TypeError, match="expected text such as 'heat"):
        df.make(df.Heat)


@pytest.mark.parametrize("name", df.methods())
def test_full_output_works_for_every_method(name, photo):
    result, chosen = df.denoise(photo[:40, :40], 0.1, name, full_output=True)
    assert result.shape == (40, 40)
    assert chosen.sigma == 0.1
    assert str(chosen).startswith("edge_enhancing" if name == "auto" else name)


@pytest.mark.parametrize("name", df.methods())
def test_a_description_fits_a_line_and_has_the_parameters(name):
    summary, parameters = describe(name)
    assert re.fullmatch(r"[^.]+: [^.]+\.", summary)
    assert len(summary) <= 96
    assert parameters == df.make(name).parameters


def test_a_user_class(tmp_path, monkeypatch):
    (tmp_path / "of_my_own.py").write_text(
        "from dataclasses import dataclass\n"
        "@dataclass(frozen=True)\n"
        "class Half:\n"
        "    share: float = 0.5\n"
        "    note: str = ''\n"
        "    def __call__(self, noisy, sigma=None, *, channel_axis=None):\n"
        "        return self.share * noisy\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    method = df.make("of_my_own:Half(share=1/4, note='a:b(c)')")
    assert method.parameters == {"share": 0.25, "note": "a:b(c)"}
    assert spell(method) == "of_my_own:Half(share=0.25, note='a:b(c)')"
    assert df.make(spell(method)) == method
    np.testing.assert_array_equal(
        df.denoise(np.ones((2, 2)), sigma=0.1, method=method), np.full((2, 2), 0.25)
    )
    (tmp_path / "needy.py").write_text("import no_such_library")
    with pytest.raises(MissingExtra, match="needy:X needs no_such_library, which is not installed"):
        df.make("needy:X")


def test_denoise_takes_names_denoisers_and_functions_with_their_shape(photo):
    heat = df.Heat(time=1.0)
    expected = heat(photo)
    np.testing.assert_array_equal(df.denoise(photo, method="heat", time=1.0), expected)
    np.testing.assert_array_equal(df.denoise(photo, method="heat(time=1.0)"), expected)
    np.testing.assert_array_equal(df.denoise(photo, method=heat), expected)
    with pytest.raises(TypeError, match="expected parameters only with the name of a method"):
        df.denoise(photo, method=heat, time=2.0)
    with pytest.raises(TypeError, match="method is 3; expected a name or a Denoiser"):
        df.denoise(photo, method=3)


def test_public_names():
    for name in df.__all__:
        assert getattr(df, name) is not None
    assert set(df.__all__) <= set(dir(df))
    with pytest.raises(AttributeError, match="No difffilter attribute nothing"):
        df.nothing  # noqa: B018


@pytest.mark.parametrize(
    "statement", ["import difffilter", "import difffilter; difffilter.methods()"]
)
def test_import_is_light(statement):
    code = f"import sys; {statement}; print(*sys.modules)"
    names = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    heavy = {"torch", "numba", "matplotlib", "scipy", "skimage", "click"}
    assert not heavy & set(names.stdout.split())


def test_the_default_method_depends_on_dimension_and_parameters(photo, rng):
    noisy = (photo[:48, :48] + rng.normal(0, 0.1, (48, 48))).astype(np.float32)
    volume = np.stack([noisy] * 4)
    for image, given, expected in [
        (noisy, {}, df.Auto()),
        (volume, {}, df.Auto()),
        (volume, {"spacing": (2, 1, 1)}, df.Auto(spacing=(2, 1, 1))),
        (noisy, {"kappa": 0.1}, df.EdgeEnhancing(kappa=0.1)),
        (volume, {"kappa": 0.1}, df.PeronaMalik(kappa=0.1)),
        (noisy, {"tol": 0.01}, df.PeronaMalik(tol=0.01)),
        (noisy, {"epsilon": 0.001}, df.TVFlow(epsilon=0.001)),
    ]:
        result = df.denoise(image, sigma=0.1, **given)
        np.testing.assert_array_equal(result, expected(image, 0.1))
    with pytest.raises(ValueError, match="edge_enhancing has no parameter 'kapa'; did you mean"):
        df.denoise(noisy, kapa=0.1)
