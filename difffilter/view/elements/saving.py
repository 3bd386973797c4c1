"""Saving: the command, and running it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from nicegui import app, ui

import difffilter
from difffilter.view.command import arguments, default_target, shown
from difffilter.view.session import Session, Setting

__all__ = ["Saving"]


class Saving:
    """The path, the button, and the command that does the same.

    The button runs that very command in a process of its own, so that the file is what
    ``difffilter smooth`` writes, and the page stays quick.

    Parameters
    ----------
    session : Session
    setting : callable
        Returns what the form says.
    target : Path or None
        Where to save at first; ``None``: the default of ``difffilter smooth``.
    max_pixels : int or None
    """

    def __init__(
        self, session: Session, setting: Callable[[], Setting], target: Path | None,
        max_pixels: int | None,
    ):  # fmt: skip
        self.session, self.setting, self.max_pixels = session, setting, max_pixels
        self.allowed = True  # whether the form says something that can be done
        self.cancelled = False
        self.process: asyncio.subprocess.Process | None = None
        ui.html("<h2>Save</h2>", sanitize=False)
        first = str(target or default_target(session.path))
        self.target = ui.input("file", value=first, on_change=self.update)
        self.target.props("outlined dense debounce=200").classes("wide")
        self.replace = ui.checkbox("This file exists: replace it", on_change=self.update)
        with ui.element("div").classes("buttons"):
            self.button = ui.button("Save", on_click=self.save).props("no-caps unelevated")
            self.cancel = ui.button("Cancel", on_click=self.give_up).props("no-caps outline")
            ui.button("Copy the command", on_click=self.copy).props("no-caps outline")
        self.state = ui.label("").classes("saved").props('role="status"')
        self.command = ui.label("").classes("command").props("tabindex=0")
        self.cancel.set_visibility(False)
        app.on_shutdown(self.stop)
        self.update()

    def words(self) -> list[str]:
        """The arguments of ``difffilter``."""
        return arguments(
            self.session.path, self.setting(), self.target.value or None,
            data_range=self.session.data_range, max_pixels=self.max_pixels,
            overwrite=self.exists() and bool(self.replace.value),
        )  # fmt: skip

    def exists(self) -> bool:
        """Whether something would be replaced."""
        return self.file().exists()

    def file(self) -> Path:
        """The file to write."""
        return Path(self.target.value or default_target(self.session.path))

    def update(self, *_) -> None:
        """Show the command for what the form says now, and ask before a file is replaced."""
        exists = self.exists()
        self.replace.set_visibility(exists)
        ready = self.allowed and self.process is None
        self.button.set_enabled(ready and (not exists or bool(self.replace.value)))
        self.command.text = shown(self.words())

    async def copy(self) -> None:
        """Copy the command."""
        ui.clipboard.write(self.command.text)
        self.state.text = "copied"

    async def save(self) -> None:
        """Run the command."""
        words, target = self.words(), self.file()
        # As this process was started, perhaps from a checkout.
        home = str(Path(difffilter.__file__).parent.parent)
        paths = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
        self.state.text, self.cancelled = "saving …", False
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "difffilter", *words, env=os.environ | {"PYTHONPATH": paths},
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self.cancel.set_visibility(True)
        self.update()
        _, messages = await self.process.communicate()
        failed, cancelled = self.process.returncode != 0, self.cancelled
        self.process, self.cancelled = None, False
        last = [line for line in messages.decode("utf-8", "replace").splitlines() if line.strip()]
        self.state.text = f"saved: {target}" if not failed else (last or ["error: not saved"])[-1]
        if failed and cancelled:
            self.state.text = "cancelled"
        if not failed and last and last[-1].startswith("warning"):
            self.state.text += f" ({last[-1]})"
        self.replace.value = False
        self.cancel.set_visibility(False)
        self.update()

    async def give_up(self) -> None:
        """End the command because the user says so; it finishes its current step."""
        self.state.text, self.cancelled = "cancelling …", True
        await self.stop()

    async def stop(self) -> None:
        """End the command, which leaves no file half written."""
        process = self.process
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
