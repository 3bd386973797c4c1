"""The page needs nothing but itself, and both reports are files whole or not at all."""

import base64
import hashlib
import json
import os
import re
import sys
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
from synthetic import METHODS, table, write_results

from difffilter.benchmark import report
from difffilter.benchmark.report import webpage
from difffilter.catalog import MissingExtra


class Links(HTMLParser):
    """Everything that a page could load, its ids and its tags."""

    def __init__(self, text):
        super().__init__()
        self.links, self.ids, self.tags = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
                self.links.append(value)
            if name == "id":
                self.ids.append(value)
            if name in ("style", "clip-path"):
                self.links += re.findall(r"url\(([^)]*)\)", value)


def test_page_needs_nothing_but_itself(page):
    found = Links(page)
    assert found.links
    for link in found.links:
        assert link.startswith(("#", "data:")), link
    assert not re.search(
        r"@import|url\(\s*['\"]?(?!#)", "".join(re.findall(r"<style>.*?</style>", page, re.S))
    )
    assert {"link", "script", "style", "svg", "table"} <= set(found.tags)
    assert "default-src 'none'" in page


def test_ids_are_unique_and_links_lead_to_one(page):
    found = Links(page)
    assert len(found.ids) == len(set(found.ids))
    assert {link[1:] for link in found.links if link.startswith("#")} <= set(found.ids)


def test_only_our_scripts_may_run(page):
    allowed = set(re.findall(r"'sha256-([^']+)'", page))
    scripts = re.findall(r"<script>(.*?)</script>", page, re.S)
    digests = {base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts}
    assert len(scripts) == 3
    assert digests == allowed
    assert "'unsafe-inline'" not in re.search(r"script-src[^;]*", page)[0]


def test_labels_are_text_everywhere(evil):
    page = report.html(evil)
    assert "<script>alert" not in page
    assert "<img src=x>" not in page
    assert "<i>title</i>" not in page
    assert Links(page).tags.count("script") == 4  # three of ours and the examples' data
    assert "&lt;script&gt;alert(" in page
    found = table(report.markdown(evil), "PSNR (dB)")
    assert len({len(cells) for cells in found.values()}) == 1
    assert "<script>" not in report.markdown(evil)


def test_names_break_between_words_only(page):
    assert "perona_<wbr>malik" in page
    assert "oracle(<wbr>perona_<wbr>malik)" in page
    assert "ddpm(<wbr>mode=&#39;sample&#39;)" in page


def test_each_method_has_a_key_of_its_own(page):
    keys = re.findall(r'<symbol id="key-(\d+)".*?>(.*?)</symbol>', page, re.S)
    assert [int(number) for number, _ in keys] == list(range(len(METHODS)))
    hollow = [int(number) for number, drawn in keys if "var(--paper)" in drawn]
    assert [list(METHODS)[number] for number in hollow] == ["oracle(perona_malik)"]


def test_examples_are_the_pictures_of_the_folder(study, page):
    data = re.search(r'id="example-data">(.*?)</script>', page, re.S)[1]
    examples = json.loads(data)
    assert [e["case"] for e in examples] == [
        f"Gaussian noise, σ·255 = {level}" for level in (15, 25, 50)
    ]
    pictures = examples[1]["pictures"]
    assert [p["label"] for p in pictures] == ["clean", *METHODS]
    assert examples[1]["best"] == "ddpm"
    folder, values = study
    encoded = pictures[0]["source"].removeprefix("data:image/png;base64,")
    stored = folder / "examples/camera/gaussian-25-0/clean.png"
    assert base64.b64decode(encoded) == stored.read_bytes()
    heat = next(p for p in pictures if p["label"] == "heat")
    psnr = values["gaussian", 25, "heat", "psnr", "camera", 0]
    assert heat["score"].startswith(f"{psnr:.2f} dB, SSIM")


def test_examples_outside_their_folder_are_not_read(tmp_path):
    write_results(tmp_path, levels=(25,), examples=["camera"])
    case = tmp_path / "examples/camera/gaussian-25-0"
    labels = json.loads((case / "labels.json").read_text("utf-8"))
    (case / "labels.json").write_text(json.dumps(labels | {"../../../rows.csv": "heat"}), "utf-8")
    [example] = webpage.examples(report.read(tmp_path))
    assert len(example["pictures"]) == len(labels) + 1  # and the clean image


def test_a_strange_folder_of_examples_is_named(tmp_path):
    write_results(tmp_path, levels=(25,))
    case = tmp_path / "examples/camera/gaussian"
    case.mkdir(parents=True)
    (case / "labels.json").write_text("{}", "utf-8")
    with pytest.raises(ValueError, match="gaussian is not a folder of example images"):
        report.html(report.read(tmp_path))


# --- files --------------------------------------------------------------------------------


def test_write_makes_both_files(study, results, tmp_path):
    written = report.write(study[0], tmp_path / "new")
    assert [path.name for path in written] == ["report.md", "report.html"]
    data = os.path.relpath(study[0], tmp_path / "new") + "/"
    assert written[0].read_text("utf-8") == report.markdown(results, data)
    assert written[1].read_text("utf-8") == report.html(results, data)  # made twice, it is the same
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "report.html",
        "report.md",
    ]


@pytest.mark.parametrize("output", [None, "elsewhere", "a name?"])
def test_reports_link_the_data(tmp_path, output):
    write_results(tmp_path / "results", levels=(25,))
    files = report.write(tmp_path / "results", output and tmp_path / output)
    for path in files:
        text = path.read_text("utf-8")
        links = set(re.findall(r"""["(]([^"(#]*(?:rows\.csv|study\.json))[")]""", text))
        assert len(links) == 2
        for link in links:
            assert (path.parent / unquote(link)).is_file()


def test_without_jinja2_nothing_is_written(study, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    (tmp_path / "report.md").write_text("old", "utf-8")
    with pytest.raises(MissingExtra, match=r"pip install 'difffilter\[bench\]'"):
        report.write(study[0], tmp_path)
    assert (tmp_path / "report.md").read_text("utf-8") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]


def test_a_page_that_cannot_be_written_leaves_the_old_report(study, tmp_path, monkeypatch):
    (tmp_path / "report.md").write_text("old", "utf-8")
    monkeypatch.setattr(report, "html", lambda *_: "\ud800")  # cannot be encoded
    with pytest.raises(UnicodeEncodeError):
        report.write(study[0], tmp_path)
    assert (tmp_path / "report.md").read_text("utf-8") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]
