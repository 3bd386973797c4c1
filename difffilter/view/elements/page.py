"""The page: an image before and after, a form for the method, the noise, and saving."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from nicegui import ui

from difffilter.denoiser import Box
from difffilter.noise.model import NoiseModel, strength_of
from difffilter.noise.trust import hardly_differs
from difffilter.view.curve import strength_svg
from difffilter.view.display import LONGEST, png
from difffilter.view.elements.form import Form
from difffilter.view.elements.saving import Saving
from difffilter.view.elements.slider import Slider
from difffilter.view.elements.stage import Stage
from difffilter.view.server import Pictures
from difffilter.view.session import Chosen, Session, Setting
from difffilter.view.worker import Superseded, Task, Worker

__all__ = ["Page", "one_line"]

# Pixels around the part that is looked at, so that a small movement shows nothing unfiltered.
MARGIN = 64

SAME = "The result hardly differs from the image. A larger σ or time changes more."

# Errors for bad input; any other is a fault, and is shown, too.
REFUSALS = (OSError, TypeError, ValueError, MemoryError)


def one_line(error: BaseException) -> str:
    """An error for the page."""
    text = " ".join(str(error).split())
    return text if isinstance(error, REFUSALS) and text else f"{type(error).__name__}: {text}"


class Page:
    """The elements of one visit, and what they do.

    Parameters
    ----------
    session : Session
    worker : Worker
    pictures : Pictures
    setting : Setting
        The initial setting.
    target : Path or None
        Where to save; ``None``: the default of ``difffilter smooth``.
    max_pixels : int or None
        As the command was told.
    """

    def __init__(
        self, session: Session, worker: Worker, pictures: Pictures, setting: Setting,
        target: Path | None, max_pixels: int | None,
    ):  # fmt: skip
        self.session, self.worker, self.pictures = session, worker, pictures
        self.setting = setting
        height, width = session.shape
        self.whole: Box = ((0, height), (0, width))
        self.box: Box = self.whole
        ui.add_css(files("difffilter.view.elements").joinpath("page.css").read_text("utf-8"))
        with ui.element("main").classes("page"):
            with ui.element("header"):
                ui.html(f"<h1>{escape(session.path.name)}</h1>", sanitize=False)
                ui.label(self._about_file()).classes("muted about")
            with ui.element("div").classes("left"):
                start = "fit" if session.small else 1
                self.stage = Stage((width, height), start, self.look)
                self.busy = ui.label("").classes("busy").props('role="status"')
                self.error = ui.label("").classes("error").props('role="alert"')
                self.note = ui.label("").classes("note")
                if session.count > 1:
                    self._page_slider()
            with ui.element("div").classes("right"):
                self.form = Form(setting, self.changed)
                self.saving = Saving(session, lambda: self.setting, target, max_pixels)
            with ui.element("section").classes("noise"):
                ui.html("<h2>Noise</h2>", sanitize=False)
                self.noise = ui.label("measuring …").classes("noise-words")
                self.curve = ui.html("", sanitize=False).classes("curve")
        ui.timer(0.25, self._tick)
        ui.timer(0, self._begin, once=True)

    def _about_file(self):
        height, width = self.session.shape
        picture = self.session.picture
        channels = picture.pages.shape[-1] if picture.channel_axis is not None else 1
        kind = {1: "grey", 3: "colour"}.get(channels, f"{channels} channels")
        parts = [f"{width} × {height} pixels", kind, str(picture.pages.dtype)]
        if self.session.count > 1:
            parts.append(f"{self.session.count} pages")
        if picture.others:
            parts.append("more images of other sizes, which are saved, too")
        display = self.session.display(self.setting.page)
        if display.stretched:
            parts.append(f"shown from {display.black:.3g} to {display.white:.3g}")
        return ", ".join(parts)

    def _page_slider(self):
        last = self.session.count - 1
        with ui.element("div").classes("pages"):
            label = ui.label(f"page 1 of {last + 1}")
            slider = Slider(min=0, max=last, value=self.setting.page)
            slider.props('aria-label="Page"')

        async def turn(event):
            label.text = f"page {int(event.value) + 1} of {last + 1}"
            self.setting = replace(self.setting, page=int(event.value))
            await self._show_page()

        slider.on_value_change(turn)

    async def _begin(self):
        await self._show_page()

    async def _show_page(self):
        """Show the page that is chosen: before, after, and its noise."""
        await self._show_before()
        await self.refresh()
        model = await self._work("noise", lambda task: self.session.noise(self.setting.page))
        if model is not None:
            self._show_noise(model)

    # --- what the stage and the form say ------------------------------------------------

    async def look(self, event: Any) -> None:
        """Show another part of the image, or show it in another size."""
        left, top, width, height = (int(x) for x in event.args["box"])
        box: Box = self.whole
        if event.args["zoom"] != "fit" and not self.session.small:
            (_, rows), (_, columns) = self.whole
            box = (
                (max(0, top - MARGIN), min(rows, top + height + MARGIN)),
                (max(0, left - MARGIN), min(columns, left + width + MARGIN)),
            )
        if box != self.box:
            self.box = box
            await self._show_before()
            await self.refresh()

    async def changed(self, setting: Setting | None, error: str = "") -> None:
        """Filter by what the form says, or say why that cannot be."""
        try:
            if setting is not None:
                self.session.check(setting)
        except REFUSALS as refusal:
            setting, error = None, one_line(refusal)
        self.saving.allowed = setting is not None
        if setting is None:
            self.error.text = error
            self.saving.update()
            return
        self.setting = replace(setting, page=self.setting.page)
        self.saving.update()
        await self.refresh()

    # --- work in the other thread -------------------------------------------------------

    async def refresh(self) -> None:
        """Filter what is looked at, and show it with what was chosen."""
        setting, box = self.setting, self.box

        def work(task: Task) -> tuple[Chosen, bytes, bool]:
            chosen = self.session.chosen(setting, task.report)
            result = self.session.filtered(setting, box, task.report)
            page = self.session.page(setting.page)[tuple(slice(a, b) for a, b in box)]
            picture = png(self.session.display(setting.page)(result), LONGEST)
            return chosen, picture, hardly_differs(page, result)

        done = await self._work("filter", work)
        if done is not None:
            chosen, data, same = done
            self.error.text = ""
            self.note.text = SAME if same and setting.method != "identity" else ""
            self.stage.show(after=[(self.pictures.add(data), _placed(box))])
            self.form.show(chosen)

    async def _show_before(self):
        setting, box = self.setting, self.box

        def work(task: Task) -> list[tuple[bytes, Box]]:
            page, display = self.session.page(setting.page), self.session.display(setting.page)
            layers = [(png(display(page), LONGEST), self.whole)]
            if box != self.whole and max(self.session.shape) > LONGEST:
                part = page[tuple(slice(a, b) for a, b in box)]
                layers.append((png(display(part)), box))
            return layers

        layers = await self._work("before", work)
        if layers is not None:
            self.stage.show(before=[(self.pictures.add(data), _placed(b)) for data, b in layers])

    async def _work(self, kind, call):
        """The result of a call in the other thread; None after an error, and if a newer call came."""
        future = self.worker.submit((id(self), kind), call)
        try:
            result = await asyncio.wrap_future(future)
            return None if self.stage.is_deleted else result  # the page may be closed by now
        except Superseded:
            return None
        except asyncio.CancelledError:
            if not future.cancelled():  # but this task
                raise
            return None
        except Exception as error:
            self.error.text = one_line(error)
            return None

    def _tick(self):
        task = self.worker.current
        seconds = 0 if task is None else time.monotonic() - task.since
        # (A text that only flashes up is a nuisance.)
        text = f"{task.doing or 'working'} … {seconds:.0f} s" if task and seconds > 0.5 else ""
        if self.busy.text != text:
            self.busy.text = text

    def _show_noise(self, model: NoiseModel):
        sigma = strength_of(model)
        kind = str(model).splitlines()[0].partition(", sigma")[0]
        self.noise.text = f"σ = {sigma:.4g} ({255 * sigma:.3g}/255), {kind}."
        self.curve.content = strength_svg(model)


def _placed(box: Box) -> tuple[int, int, int, int]:
    (top, bottom), (left, right) = box
    return left, top, right - left, bottom - top
