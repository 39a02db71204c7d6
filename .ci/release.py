"""Build the distributions and try them as a user gets them.

    python .ci/release.py          # all of it
    python .ci/release.py --dist   # build and check only: nothing is installed

A step prints what it does; the first that fails ends the script with exit status 1. The
distributions are in dist/. The wheel is installed into .venv-release, with another Python than the
one that runs this script if a supported one is there, and tried in a folder outside the checkout.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
DIST, ENVIRONMENT = ROOT / "dist", ROOT / ".venv-release"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SUPPORTED = [
    line.rpartition(" ")[2]
    for line in PROJECT["classifiers"]
    if re.fullmatch(r"Programming Language :: Python :: \d+\.\d+", line)
]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
PAGE_PARTS = ("results.csv", "summary.csv", "report.html", "settings.toml", "report_files")


def version() -> str:
    """Return the version that the source says."""
    source = (ROOT / "src" / "cameval" / "__init__.py").read_text(encoding="utf-8")
    (found,) = re.findall(r'^__version__ = "(.+)"$', source, re.MULTILINE)
    return str(found)


def programs(markdown: str) -> list[tuple[str, str | None]]:
    """Return each Python block that begins with an import, and the output shown below it.

    Other Python blocks are parts of a program, or begin with a comment on what they need. An output
    is a block without a language that follows directly; None is one that is not shown.
    """
    found: list[tuple[str, str | None]] = []
    blocks = list(BLOCK.finditer(markdown))
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        if block[1] == "python" and re.match(r"(import|from) ", block[2]):
            shown = (
                following is not None
                and not following[1]
                and not markdown[block.end() : following.start()].strip()
            )
            found.append((block[2], following[2] if shown and following else None))
    return found


def relative_links(html: str) -> list[str]:
    """Return links and pictures of a page that lead nowhere outside of the repository."""
    targets: list[str] = re.findall(r'\b(?:href|src)="([^"]*)"', html)
    return [target for target in targets if not re.match(r"https://|#", target)]


def check(holds: bool, message: str) -> None:
    """End the script unless a condition holds."""
    if not holds:
        raise SystemExit(f"FAILED: {message}")


def run(*command: str | Path, cwd: Path = ROOT, show: int = 0) -> str:
    """Run a command without this checkout on its path; return its output, print its first lines."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["NO_COLOR"] = "1"
    words = [str(word) for word in command]
    done = subprocess.run(
        words, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n")
        raise SystemExit(f"FAILED: {' '.join(words)} (exit status {done.returncode})")
    for line in done.stdout.splitlines()[:show]:
        print("   |", line)
    return done.stdout


def step(title: str) -> None:
    """Print what comes next."""
    print(f"{time.strftime('%H:%M:%S')} {title}", flush=True)


def build() -> tuple[Path, Path]:
    """Build the source distribution, and the wheel from it."""
    step("build: sdist, and the wheel from it")
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "build", "--outdir", DIST, ROOT)
    (sdist,), (wheel,) = DIST.glob("*.tar.gz"), DIST.glob("*.whl")
    for path in (sdist, wheel):
        check(f"-{version()}" in path.name, f"{path.name} must be of version {version()}")
        print(f"   {path.name}: {path.stat().st_size / 1024:.0f} KB")
    return sdist, wheel


def check_contents(sdist: Path, wheel: Path) -> None:
    """Compare the files of the distributions with those of the checkout."""
    step("contents")
    source = {str(p.relative_to(ROOT / "src")) for p in (ROOT / "src").rglob("*") if p.is_file()}
    source = {name for name in source if "__pycache__" not in name}
    with zipfile.ZipFile(wheel) as archive:
        installed = set(archive.namelist())
    information = {name for name in installed if ".dist-info/" in name}
    different = (installed - information) ^ source
    check(not different, f"the wheel must have the files of src, different: {sorted(different)}")
    check(any(name.endswith("LICENSE") for name in information), "the wheel must have LICENSE")
    tracked = set(run("git", "ls-files").splitlines())
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    missing, strange = tracked - packed, packed - tracked - {"PKG-INFO"}
    check(not missing, f"the sdist must have all files, missing: {sorted(missing)}")
    check(not strange, f"the sdist must have only tracked files, others: {sorted(strange)}")
    print(f"   wheel: the {len(source)} files of src; sdist: the {len(tracked)} tracked files")


def check_metadata(wheel: Path) -> None:
    """Check the metadata, and the page that an index makes of the description."""
    step("metadata: twine check --strict")
    run(sys.executable, "-m", "twine", "check", "--strict", *sorted(DIST.iterdir()), show=4)
    step("description: README.md as HTML")
    from readme_renderer import markdown

    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(archive.read(name))
    check(metadata["Description-Content-Type"] == "text/markdown", "the README must be Markdown")
    html = markdown.render(str(metadata.get_payload()))
    check(html is not None, "the README must be rendered; is readme-renderer[md] installed?")
    assert html is not None
    relative = relative_links(html)
    check(not relative, f"links of README.md must be absolute, got {relative}")
    (DIST.parent / "build").mkdir(exist_ok=True)
    page = DIST.parent / "build" / "README.html"
    page.write_text(f'<!doctype html><meta charset="utf-8">{html}', encoding="utf-8")
    print(f"   {len(html)} characters, all links absolute: {page.relative_to(ROOT)}")


def answers(python: str | Path) -> str:
    """Return the version of a Python, such as "3.13"; empty if it does not start."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def other_python() -> str:
    """Return the newest supported Python that is there, not the running one if possible."""
    running = f"{sys.version_info[0]}.{sys.version_info[1]}"
    for wanted in sorted(SUPPORTED, key=lambda v: (v != running, int(v.split(".")[1])))[::-1]:
        places = [shutil.which(f"python{wanted}")]
        places += [str(path) for path in Path.home().glob(f".pyenv/versions/{wanted}.*/bin/python")]
        for place in places:
            if place and answers(place) == wanted:
                return place
    return sys.executable


def install(wheel: Path, python: str) -> Path:
    """Install the wheel with the extra for reports into a new environment; return its programs."""
    step(f"installation into a new environment with {python} ({answers(python)})")
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    run(python, "-m", "venv", ENVIRONMENT)
    programs_there = ENVIRONMENT / "bin"
    run(programs_there / "python", "-m", "pip", "install", "--quiet", f"{wheel}[report]")
    run(programs_there / "python", "-m", "pip", "check", show=1)
    return programs_there


def try_out(there: Path) -> None:
    """Run README's programs and the commands in an empty folder."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        code = "import cameval; print(cameval.__version__, cameval.__file__)"
        found, _, place = run(there / "python", "-c", code, cwd=folder).partition(" ")
        check(found == version(), f"the installed version must be {version()}, got {found}")
        check(str(ENVIRONMENT) in place, f"cameval must be the installed one, got {place}")
        for number, (program, shown) in enumerate(
            programs((ROOT / "README.md").read_text(encoding="utf-8")), 1
        ):
            step(f"README.md, program {number}")
            printed = run(there / "python", "-c", program, cwd=folder, show=20)
            if shown is not None:
                check(printed == shown, f"README.md shows other output:\n{shown}")
        for words in (["--version"], ["--help"], ["models"]):
            step(f"cameval {' '.join(words)}")
            run(there / "cameval", *words, cwd=folder, show=4)
        words = ["evaluate", "--model", "mobilenet_v2", "--phantom", "6", "--method", "grad_cam"]
        words += ["--binarizer", "percentile:95", "--out", "run"]
        step(f"cameval {' '.join(words)}")
        run(there / "cameval", *words, cwd=folder, show=12)
        made = sorted(path.name for path in (folder / "run").iterdir())
        missing = set(PAGE_PARTS) - set(made)
        check(not missing, f"the run must write {sorted(missing)}, got {made}")
        files = (folder / "run" / "report_files").rglob("*")
        pictures = sum(path.suffix in {".png", ".jpg", ".webp"} for path in files)
        size = (folder / "run" / "report.html").stat().st_size
        print(f"   report.html: {size / 1024:.0f} KB, {pictures} pictures in report_files/")


def main() -> None:
    """Take the steps that the arguments ask for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dist", action="store_true", help="build and check, install nothing")
    parser.add_argument("--python", help="the Python of the new environment")
    options = parser.parse_args()
    sdist, wheel = build()
    check_contents(sdist, wheel)
    check_metadata(wheel)
    if not options.dist:
        try_out(install(wheel, options.python or other_python()))
        shutil.rmtree(ENVIRONMENT)
    step(f"cameval {version()} is in {DIST.relative_to(ROOT)}/")


if __name__ == "__main__":
    main()
