import ctypes
import os
import sys
from importlib.metadata import distributions

optional = os.environ.get("OPTIONAL_LIBRARIES", "").split()
for distribution in distributions():
    for file in distribution.files or ():
        try:
            if file.suffix == ".so":
                ctypes.CDLL(str(file.locate()))
        except OSError as error:
            if not str(error).startswith(tuple(f"{library}:" for library in optional)):
                sys.exit(f"{file.locate()} could not be loaded: {error}")

{% include "app/" ~ cookiecutter.app ~ "/check.dockerfile" -%}
