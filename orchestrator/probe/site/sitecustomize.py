# Python imports the first `sitecustomize` on its path when it starts: this one, where a node
# has the probe. It starts the probe, and then leaves its place to the one that Python would
# have found without it, or to none. Any Python that a node happens to run reads this file,
# Python 2 as well, so nothing here may be newer than that.
import os
import sys

_folder = os.path.dirname(os.path.abspath(__file__))
if sys.version_info >= (3, 8):
    try:
        import orchestrate_probe  # type: ignore[import-not-found]

        orchestrate_probe.start()
    except Exception:  # noqa: BLE001, S110  (whatever it is, the script must not learn of it)
        pass
sys.path[:] = [each for each in sys.path if os.path.abspath(each or ".") != _folder]
# As if this module had never been: the import below is what Python's own start would do. If
# there is no other one its ImportError goes up to `site`, which takes it for just that.
sys.modules.pop("sitecustomize", None)
import sitecustomize  # type: ignore[import-not-found] # noqa: E402, F401
