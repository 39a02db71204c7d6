"""Every error that cameval raises on purpose.

::

    CamevalError
    ├── UnsupportedModelError (TypeError)   no declared split for this network
    ├── UnsupportedHeadError  (TypeError)   the head has no exact class activation map
    ├── LayerError            (ValueError)  a named layer is missing, silent, or not a feature map
    ├── ClassIndexError       (IndexError)  a class that the network does not have
    ├── ArrayTypeError        (TypeError)   neither NumPy nor torch, or the wrong dtype
    ├── ShapeError            (ValueError)  arrays that must align do not
    ├── NonFiniteError        (ValueError)  NaN or infinity where a number must be
    ├── SettingError          (ValueError)  a setting out of its range
    ├── DataError             (ValueError)  a file that is not what it should be
    ├── OutputError           (OSError)     a file or a folder that cannot be written
    └── ProcessError          (RuntimeError) another process of the run failed

Messages say what must hold, what came, and what to do. Each error is also the built-in error in
brackets, so that ``except ValueError`` works for callers who do not know cameval.
"""

__all__ = [
    "ArrayTypeError",
    "CamevalError",
    "ClassIndexError",
    "DataError",
    "LayerError",
    "NonFiniteError",
    "OutputError",
    "ProcessError",
    "SettingError",
    "ShapeError",
    "UnsupportedHeadError",
    "UnsupportedModelError",
]


class CamevalError(Exception):
    """Base of every error that cameval raises on purpose."""


class UnsupportedModelError(CamevalError, TypeError):
    """The network has no declared split into features and head, or cannot be explained as it is.

    A cut that computes something else than the network, a network that writes to its buffers in
    evaluation mode, and one of which no private copy can be made are refused with it.
    """


class UnsupportedHeadError(CamevalError, TypeError):
    """The head is not one for which the asked-for map is exact, or the map breaks its law."""


class LayerError(CamevalError, ValueError):
    """A named layer does not exist, did not run exactly once, or gave no feature map."""


class ClassIndexError(CamevalError, IndexError):
    """A class index outside the network's classes."""


class ArrayTypeError(CamevalError, TypeError):
    """An argument is neither a NumPy array nor a torch tensor, or has the wrong dtype."""


class ShapeError(CamevalError, ValueError):
    """Arrays that must align do not."""


class NonFiniteError(CamevalError, ValueError):
    """NaN or infinity where every value must be a number."""


class SettingError(CamevalError, ValueError):
    """A setting is out of its range."""


class DataError(CamevalError, ValueError):
    """A file lacks a field, is damaged, or holds what it should not."""


class OutputError(CamevalError, OSError):
    """A file or a folder cannot be written: the disk is full, or the place is not writable."""


class ProcessError(CamevalError, RuntimeError):
    """Another process of a run on several has failed."""
