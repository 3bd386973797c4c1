"""Weight files: safetensors with a configuration and a checksum, each beside a model card.

No file is ever unpickled.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from difffilter.io.files import replacing

__all__ = ["Collection", "digest", "read"]


@dataclass(frozen=True)
class Collection:
    """The weight files of a method, those that come with the package and others of their format.

    Attributes
    ----------
    folder : Path
        Where those of the package are.
    kind : str
        The format, which every file states.
    """

    folder: Path
    kind: str

    def available(self) -> list[str]:
        """Names of the weights that come with the package, sorted.

        Returns
        -------
        list of str

        Examples
        --------
        >>> from difffilter.ddpm import available
        >>> "natural-gray" in available()
        True
        """
        return sorted(path.stem for path in self.folder.glob("*.safetensors"))

    def find(self, name_or_path: str | PathLike) -> Path:
        """The file of a name in `available`, or the path itself.

        Parameters
        ----------
        name_or_path : str or Path

        Returns
        -------
        Path

        Raises
        ------
        FileNotFoundError
            If it is neither.
        """
        name, names = str(name_or_path), self.available()
        if name in names:
            return self.folder / f"{name}.safetensors"
        path = Path(name_or_path)
        if path.is_file():
            return path
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise FileNotFoundError(
            f"weights is {name!r}; expected a file or one of {', '.join(names) or '(none)'}{hint}"
        )

    def card(self, name_or_path: str | PathLike) -> dict[str, Any]:
        """The model card beside a weight file.

        Parameters
        ----------
        name_or_path : str or Path
            A name in `available`, or a file.

        Returns
        -------
        dict
            Empty if there is none.

        Raises
        ------
        FileNotFoundError
            If there is no such weight file.
        ValueError
            If the card is not JSON.

        Examples
        --------
        >>> from difffilter.ddpm import card
        >>> card("natural-gray")["channels"]
        1
        """
        path = self.find(name_or_path).with_suffix(".json")
        if not path.exists():
            return {}
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"the model card {path} is damaged: {error}") from None

    def save(
        self, path: str | PathLike, arrays: dict[str, NDArray], settings: dict[str, Any]
    ) -> None:
        """Write a weight file, whole or not at all.

        Parameters
        ----------
        path : str or Path
        arrays : dict of str to ndarray
        settings : dict
            The configuration, of what JSON can hold.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import save_file

        config = json.dumps(settings)
        metadata = {"format": self.kind, "config": config, "sha256": digest(config, arrays)}
        with replacing(path) as temporary:
            try:
                save_file(arrays, temporary, metadata)
            except SafetensorError as error:
                raise OSError(f"cannot write {path}: {error}") from None

    def load(self, path: Path) -> tuple[dict[str, NDArray], str, str]:
        """Read a weight file that `save` wrote.

        Returns
        -------
        arrays : dict of str to ndarray
        config : str
            The configuration, as JSON.
        sha256 : str
            Checksum of the content, in hexadecimal.

        Raises
        ------
        ValueError
            If the file is damaged, truncated or of another format.
        """
        metadata, arrays = read(path)
        if metadata.get("format") != self.kind:
            raise ValueError(
                f"{path} is a foreign safetensors file; expected the format {self.kind!r}"
            )
        config = metadata.get("config", "")
        if metadata.get("sha256") != digest(config, arrays):
            raise ValueError(
                f"{path} is damaged: its content does not have the checksum that it states"
            )
        return arrays, config, metadata["sha256"]


def read(path: str | PathLike) -> tuple[dict[str, str], dict[str, NDArray]]:
    """Metadata and arrays of a safetensors file.

    Raises
    ------
    ValueError
        If the file is damaged or of another kind.
    """
    from safetensors import SafetensorError, safe_open

    with open(path, "rb") as stream:
        start = stream.read(2)
    try:
        with safe_open(path, framework="numpy") as file:
            names = file.keys()
            return file.metadata() or {}, {name: file.get_tensor(name) for name in names}
    except (SafetensorError, TypeError, ValueError) as error:
        # (A safetensors file, too, may start like that: with the length of its header.)
        if start == b"PK" or start[:1] == b"\x80":
            raise ValueError(f"{path} is a pickled checkpoint, which is never loaded") from None
        raise ValueError(
            f"{path} is damaged, truncated or not a safetensors file: {error}"
        ) from None


def digest(config: str, tensors: dict[str, NDArray]) -> str:
    """SHA-256 of a text and of arrays, in the order of their names, in hexadecimal."""
    state = hashlib.sha256(config.encode())
    for name in sorted(tensors):
        state.update(name.encode())
        state.update(np.ascontiguousarray(tensors[name]).tobytes())
    return state.hexdigest()
