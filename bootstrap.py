"""Makes or refreshes .venv from the hash-pinned lock; it must not need more than a bare Python, however old.

An old Python must get as far as the sentence that refuses it, so this file keeps to syntax that all of them
parse: no annotations, no f-strings, no keyword-only arguments, no unpacking in displays.
"""
# ruff: noqa: E402, RUF005, S603, T201, UP031

import sys

NEEDED = (3, 11)
if sys.version_info[:2] < NEEDED:
    sys.exit(
        "Cirrusweb needs Python %d.%d or newer, and %s is Python %d.%d: install a newer one "
        "and name it, for example `make run PYTHON=python3.12`."
        % (NEEDED + (sys.executable,) + tuple(sys.version_info[:2]))
    )

import hashlib
import os
import shlex
import shutil
import subprocess
import time

ROOT = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
UV_REQUIREMENTS = "requirements/uv.txt"


class Refusal(Exception):
    """One sentence for the person at the terminal: what is wrong and what to do."""


def say(sentence):
    print(sentence)
    sys.stdout.flush()


def fingerprint(name):
    """Changes when the lock does, or when .venv's Python is replaced by another."""
    with open(os.path.join(ROOT, "requirements", name + ".txt"), "rb") as lock:
        return hashlib.sha256(os.path.realpath(PYTHON).encode() + lock.read()).hexdigest()


def stamp_path(name):
    return os.path.join(VENV, ".installed-" + name)


def is_installed(name):
    try:
        with open(stamp_path(name)) as stamp:
            return os.path.exists(PYTHON) and stamp.read() == fingerprint(name)
    except OSError:
        return False


def environment():
    """The user's environment without what would make pip install to somewhere else than .venv."""
    env = dict(os.environ)
    for name in ("PYTHONHOME", "PYTHONPATH", "PIP_TARGET"):
        env.pop(name, None)
    env.update(PIP_USER="0", PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1", UV_PYTHON_DOWNLOADS="never")
    return env


def run(*arguments, **options):
    """True when the command succeeded; ``quiet`` keeps a failure's output to itself."""
    quiet = options.get("quiet", False)
    output = subprocess.DEVNULL if quiet else None
    env = environment()
    env.update(options.get("env", {}))
    streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}
    return subprocess.call(arguments, cwd=ROOT, env=env, **streams) == 0


def make_venv():
    if os.path.exists(PYTHON) and run(PYTHON, "-m", "pip", "--version", quiet=True):
        return
    say("Making .venv with Python %d.%d." % sys.version_info[:2])
    if run(sys.executable, "-m", "venv", "--clear", VENV, quiet=True):
        return
    # Debian splits venv off its Python; as root the missing piece can be fetched without asking anyone.
    package = "python%d.%d-venv" % sys.version_info[:2]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        say("This Python cannot make virtual environments: installing Debian's %s." % package)
        quietly = {"DEBIAN_FRONTEND": "noninteractive"}
        run("apt-get", "update", "-qq", quiet=True, env=quietly)
        run("apt-get", "install", "-y", "-qq", package, env=quietly)
        if run(sys.executable, "-m", "venv", "--clear", VENV):
            return
    raise Refusal(
        "%s could not make a virtual environment in %s: check that the folder can be written, "
        "and on Debian or Ubuntu install %s." % (sys.executable, VENV, package)
    )


def pip_settings():
    """What the user told pip about indexes and certificates, from its files and its environment alike."""
    command = [PYTHON, "-m", "pip", "config", "list"]
    try:
        listing = subprocess.check_output(command, env=environment(), cwd=ROOT, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return {}
    ranked = {}
    for line in listing.decode("utf-8", "replace").splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        # pip's own order: the environment over [install] over [global].
        rank = {":env:": 3, "install": 2, "global": 1}.get(section, 0)
        try:
            value = " ".join(shlex.split(value))
        except ValueError:
            continue
        if rank > ranked.get(key, (0, ""))[0]:
            ranked[key] = (rank, value.replace("\\n", " ").strip())
    return {key: value for key, (_, value) in ranked.items()}


def uv_environment():
    """uv reads none of pip's settings: they go to it by environment, because they may hold a password."""
    settings = pip_settings()
    env = {}
    for key, variable in (("index-url", "UV_DEFAULT_INDEX"), ("extra-index-url", "UV_INDEX")):
        if settings.get(key):
            env[variable] = settings[key]
    if settings.get("find-links"):
        env["UV_FIND_LINKS"] = ",".join(settings["find-links"].split())
    if settings.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        env["UV_NO_INDEX"] = "1"
    if settings.get("cert"):
        env["SSL_CERT_FILE"] = settings["cert"]
    # The lock's hashes decide what may be installed, so any index may offer it, as with pip.
    env["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    home = os.path.expanduser("~")
    if not (os.path.isabs(home) and os.access(home, os.W_OK)):
        env["UV_NO_CACHE"] = "1"
    return env


def install(requirements):
    """Puts what the file ``requirements`` pins into .venv: by uv in seconds, by pip where uv cannot do it."""
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--require-hashes"]
    started = time.time()
    with_uv = run(*(pip + ["-r", UV_REQUIREMENTS]), quiet=True)
    say("Installing %s with %s." % (requirements, "uv" if with_uv else "pip, as uv cannot be had"))
    if with_uv:
        uv = [PYTHON, "-m", "uv", "pip", "install", "--quiet", "--python", PYTHON, "--require-hashes"]
        with_uv = run(*(uv + ["-r", requirements]), quiet=True, env=uv_environment())
        if not with_uv:
            say("uv could not install them: trying pip, which takes a minute or two.")
    if not with_uv and not run(*(pip + ["-r", requirements])):
        raise Refusal(
            "The packages could not be installed: see pip's message above, and check that this machine "
            "reaches the package index that pip is set up for (`pip config list`)."
        )
    say("Installed in %.0f s." % (time.time() - started))


def bootstrap(dev):
    name = "dev" if dev else "base"
    # dev.txt holds all that base.txt does.
    if is_installed(name) or is_installed("dev"):
        return
    lock = os.open(ROOT, os.O_RDONLY)
    try:
        import fcntl

        # `make run` and `make test` started together would install over each other.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_installed(name):
            return
        make_venv()
        install("requirements/%s.txt" % name)
        with open(stamp_path(name), "w") as stamp:
            stamp.write(fingerprint(name))
    finally:
        os.close(lock)


def main():
    unknown = [argument for argument in sys.argv[1:] if argument != "--dev"]
    if unknown:
        sys.exit("usage: bootstrap.py [--dev]")
    if os.name != "posix":
        sys.exit("Cirrusweb runs on Linux and macOS; on Windows, run it inside WSL.")
    try:
        bootstrap("--dev" in sys.argv)
    except Refusal as refusal:
        sys.exit(str(refusal))
    except OSError as error:
        sys.exit("Cannot set up %s: %s." % (VENV, error))
    except KeyboardInterrupt:
        sys.exit("Stopped; run it again to go on.")


if __name__ == "__main__":
    main()
