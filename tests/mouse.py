"""The mouse of a browser under test."""


def drag(page, selector, x, y, by_x, by_y=0):
    """Drag with the mouse, from a place given in shares of an element's size."""
    box = page.execute_script(
        "const e = document.querySelector(arguments[0]);"
        "e.scrollIntoView({behavior: 'instant', block: 'center'});"
        "const b = e.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]",
        selector,
    )
    at = {"x": box[0] + x * box[2], "y": box[1] + y * box[3]}
    to = {"x": at["x"] + by_x * box[2], "y": at["y"] + by_y * box[3]}
    for kind, place, buttons in (
        ("mouseMoved", at, 0), ("mousePressed", at, 1), ("mouseMoved", to, 1),
        ("mouseReleased", to, 0),
    ):  # fmt: skip
        event = {"type": kind, "button": "left", "buttons": buttons, "clickCount": 1, **place}
        page.execute_cdp_cmd("Input.dispatchMouseEvent", event)
