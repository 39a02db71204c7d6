"""The errors that cameval raises on purpose.

::

    CamevalError
    ├── UnsupportedModelError (TypeError)   the network cannot be cut, or is not supported as it is
    ├── UnsupportedHeadError  (TypeError)   the head has no exact class activation map
    ├── LayerError            (ValueError)  a layer is missing, does not run, or has no feature map
    ├── ClassIndexError       (IndexError)  a class that the network does not have
    ├── ArrayTypeError        (TypeError)   neither NumPy nor torch, or the wrong dtype
    ├── ShapeError            (ValueError)  arrays whose shapes do not fit
    ├── NonFiniteError        (ValueError)  NaN or infinity where values must be finite
    ├── SettingError          (ValueError)  a setting outside its range
    │   └── MissingPackageError (ImportError) an optional package is not installed
    ├── DataError             (ValueError)  a file with missing, damaged or wrong content
    │   └── cameval.data.LeakError          a sample or group in two parts of a fold
    ├── OutputError           (OSError)     a file or a folder that cannot be written
    └── ProcessError          (RuntimeError) another process of the run failed

Messages state the requirement, the value that was given, and what to do. Each error is also the
built-in error in brackets, so that ``except ValueError`` works for callers who do not know cameval.
"""

__all__ = [
    "ArrayTypeError",
    "CamevalError",
    "ClassIndexError",
    "DataError",
    "LayerError",
    "MissingPackageError",
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
    """The network cannot be cut into features and head, or is not supported as it is.

    Examples are a cut whose output differs from that of the network, a network that writes to its
    buffers in evaluation mode, and a network that cannot be copied. Where no layer of the maps is
    proved, `layers` are the names of layers that maps can be taken from, and `reason` says why;
    `step` is the last step of the network, such as a softmax, if that is why. Where the network
    returns several tensors, `select` is the function that returns the logits among them, as text.
    """

    layers: tuple[str, ...] = ()
    reason: str = ""
    step: str = ""
    select: str = ""


class UnsupportedHeadError(CamevalError, TypeError):
    """The method does not support the head, or a map that must be exact is not.

    Where the method needs another head, `reason` says which one, and what came.
    """

    reason: str = ""


class LayerError(CamevalError, ValueError):
    """A named layer does not exist, did not run exactly once, or has no feature map as output."""


class ClassIndexError(CamevalError, IndexError):
    """A class index is outside the network's classes."""


class ArrayTypeError(CamevalError, TypeError):
    """An argument is neither a NumPy array nor a torch tensor, or has the wrong dtype."""


class ShapeError(CamevalError, ValueError):
    """The shapes of arrays do not fit each other, or what is expected."""


class NonFiniteError(CamevalError, ValueError):
    """Values are NaN or infinite where they must be finite."""


class SettingError(CamevalError, ValueError):
    """A setting is outside its range."""


class MissingPackageError(SettingError, ImportError):
    """What was asked for needs an optional package that is not installed.

    The message names the package to install and the extra of cameval that has it; the attribute
    ``name`` is the name of the module that was to be imported.

    Examples
    --------
    >>> from cameval.errors import MissingPackageError
    >>> issubclass(MissingPackageError, ImportError)
    True
    """


class DataError(CamevalError, ValueError):
    """A file has missing, damaged or wrong content."""


class OutputError(CamevalError, OSError):
    """A file or a folder cannot be written, as when the disk is full or access is denied."""


class ProcessError(CamevalError, RuntimeError):
    """Another process of a distributed run has failed."""
