"""Files and folders that appear complete or not at all, whenever what writes them is interrupted."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def placed(target: Path) -> Iterator[Path]:
    """Write beside the target first, and move everything there when the block has succeeded.

    What stood there is moved aside before and deleted after, so that one of both is whole at any time.

    Args:
        target: a file or folder to be made; what is there is replaced.

    Yields:
        Where to write instead: the same name, in a hidden folder beside the target.

    Raises:
        OSError: the folder of the target cannot be made, or written in.

    Example:
        >>> with tempfile.TemporaryDirectory() as name:
        ...     with placed(Path(name) / "notes.txt") as file:
        ...         _ = file.write_text("whole")
        ...     (Path(name) / "notes.txt").read_text()
        'whole'
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # In a folder and not as a file, because lone temporary files are made for one user's eyes only.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as hidden:
        place, before = Path(hidden, "new", target.name), Path(hidden, "old")
        place.parent.mkdir()
        yield place
        had = target.exists()
        if had:
            target.replace(before)
        try:
            place.replace(target)
        except OSError:
            if had:
                before.replace(target)
            raise
