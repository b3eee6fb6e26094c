"""reasonlens: locate reasoning directions in language models and test what they do.

The public names are listed in `__init__.pyi` and imported when they are first used: `import reasonlens` loads no torch.
"""

import logging
import sys
from importlib.metadata import version

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = version("reasonlens")
logging.getLogger("reasonlens").addHandler(logging.NullHandler())
if "ipykernel" in sys.modules:
    from reasonlens.rundir.progress import settle_notebook

    settle_notebook()
