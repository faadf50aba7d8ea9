"""Why the core could not be imported; loaded in that case only.

With __init__.py it is installed as source: a .mpy may be what the board cannot load.
"""

import sys

# By the numbers that MicroPython gives them in sys.implementation._mpy.
_ARCHITECTURES = (
    "any", "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp",
    "xtensa", "xtensawin", "rv32imc",
)  # fmt: skip


def explain(error):
    """The ImportError that says what this board needs; error: of `import _wscore`."""
    number = getattr(sys.implementation, "_mpy", 0)
    architecture = number >> 10
    if architecture < len(_ARCHITECTURES):
        architecture = _ARCHITECTURES[architecture]
    text = "%s: %s" % (type(error).__name__, error)
    if isinstance(error, MemoryError):
        return ImportError("_wscore: %s; see docs/native.md, or take that for any" % text)
    return ImportError(
        "_wscore: %s; this board takes that of modwebsocket for %s or any, .mpy version %d.%d"
        % (text, architecture, number & 0xFF, number >> 8 & 3)
    )
