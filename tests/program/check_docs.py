#!/usr/bin/env python3
"""Checks every *.md file of the repository. Prints each fault as FILE:LINE: what; exit code 1 if there is one.

    tests/program/check_docs.py               checks the repository that this file lies in
    tests/program/check_docs.py --self-test   plants faults in a temporary copy and expects them

The checks:
    links    the target of every relative link exists, and its anchor, if it has one
    paths    every word in backticks that looks like a file or folder of the repository exists
    verbs    the VERB of every `dae VERB`, in backticks or in a block of commands, is a verb of the program

A word looks like a path if it begins with a name of the root folder and a slash, or ends like a source file (.h,
.cuh, .cpp, .cu, .py, .sh, .toml, .md). A path is relative to the root or to the document's folder; a file name
alone may lie anywhere. A word with * must match something. Words with <...>, {...} or a part in capitals such as
NAME are placeholders.
"""
import fnmatch
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
ENDINGS = (".h", ".cuh", ".cpp", ".cu", ".py", ".sh", ".toml", ".md")
WRITTEN_BY_THE_PROGRAM = {"recipe.toml"}  # looks like a source file, but lies in a run folder
WITH_A_VALUE = {"--device", "--threads", "--seed"}  # the options of every verb that take a value
PROGRAMS = {"dae", "dae-emulated"}  # may follow each other, as targets of a build
# Names in the root folder that are made, not kept.
MADE = re.compile(r"build|runs$|\.git$|\.gpu$|\.deps$|\.cache$")


def files_of(root):
    """Returns the paths of all files, relative to the root, without build folders and runs."""
    found = []
    for folder, folders, files in os.walk(root):
        at = Path(folder).relative_to(root).as_posix()
        folders[:] = [f for f in folders if f != "__pycache__" and not (at == "." and MADE.match(f))]
        found += [(f if at == "." else f"{at}/{f}") for f in files]
    return sorted(found)


def verbs_of(root):
    """Returns the words that follow `dae` on the command line."""
    verbs = set()
    for path in [*sorted((root / "train/verbs").glob("*.cpp")), root / "bench/command.cpp"]:
        text = path.read_text() if path.exists() else ""
        verbs |= set(re.findall(r'commands\s*\.\s*app\s*\.\s*add_subcommand\(\s*"([a-z-]+)"', text))
        verbs |= set(re.findall(r'add_picture\(commands, "([a-z-]+)"', text))
    return verbs


def lines_of(text):
    """Yields (number, line, language): the language of the block of code that the line is in, "" for a block
    without one, or None outside of blocks."""
    language = None
    for number, line in enumerate(text.splitlines(), 1):
        fence = re.match(r"\s*(```+|~~~+)\s*(\S*)", line)
        if fence:
            language = fence[2] if language is None else None
        else:
            yield number, line, language


def anchors_of(text):
    """Returns the anchors that GitHub makes of the headings."""
    anchors, seen = set(), {}
    for _, line, language in lines_of(text):
        heading = re.match(r"#{1,6}\s+(.*?)\s*#*$", line) if language is None else None
        if heading:
            words = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]).replace("`", "").lower()
            slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
            count = seen[slug] = seen.get(slug, -1) + 1
            anchors.add(f"{slug}-{count}" if count else slug)
        anchors |= set(re.findall(r'<a (?:id|name)="([^"]+)"', line))
    return anchors


class Checker:
    def __init__(self, root):
        self.root, self.faults = root, []
        self.files = files_of(root)
        self.known = set(self.files) | {p.as_posix() for f in self.files for p in Path(f).parents}
        self.names = {Path(f).name for f in self.files}
        self.tops = {f.split("/")[0] for f in self.files if "/" in f}
        self.verbs = verbs_of(root)
        self.anchors = {}

    def fault(self, document, number, what):
        self.faults.append(f"{document}:{number}: {what}")

    def check_link(self, document, number, target):
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            return
        path, _, anchor = target.partition("#")
        full = os.path.normpath(os.path.join(os.path.dirname(document), path)) if path else document
        if full not in self.known:
            return self.fault(document, number, f"the link {target} leads nowhere")
        if anchor and full.endswith(".md"):
            if full not in self.anchors:
                self.anchors[full] = anchors_of((self.root / full).read_text())
            if anchor not in self.anchors[full]:
                self.fault(document, number, f"the link {target}: {full} has no heading of that name")

    def check_path(self, document, number, word):
        """Checks a word in backticks, if it looks like a path of the repository."""
        word = re.sub(r":\d+(-\d+)?$", "", word.strip("\"'(),;:")).rstrip("/").rstrip(".")
        word = word.removeprefix("./")
        slash = "/" in word and word.split("/")[0] in self.tops
        if not slash and (not word.endswith(ENDINGS) or "/" in word or word.startswith((".", "-"))):
            return
        if re.search(r"[<>{}()\[\]$=|…]", word):
            return
        beside = os.path.normpath(os.path.join(os.path.dirname(document), word))
        if word in self.known or beside in self.known or word in WRITTEN_BY_THE_PROGRAM:
            return
        if not slash and word in self.names:
            return
        if "*" in word:
            if not any(fnmatch.fnmatch(f, word) for f in (self.known if slash else self.names)):
                self.fault(document, number, f"nothing matches `{word}`")
            return
        if any(re.fullmatch(r"[A-Z][A-Z_]*(-[A-Z]+)*(\.\w+)?", part) for part in word.split("/")) and \
                not word.endswith(".md"):
            return
        self.fault(document, number, f"`{word}` does not exist")

    def check_verbs(self, document, number, text):
        for match in re.finditer(r"(?:^|[\s/(;&|\"'])dae(?:-emulated)?((?:[ \t]+\S+)+)", text):
            words = match[1].split()
            while words and words[0].startswith("-"):
                words = words[2 if words[0] in WITH_A_VALUE else 1:]
            verb = re.match(r"[a-z][a-z-]*$", words[0].rstrip("`.,;:)")) if words else None
            if verb and verb[0] not in self.verbs and verb[0] not in PROGRAMS:
                known = ", ".join(sorted(self.verbs))
                self.fault(document, number, f"`dae {verb[0]}`: no such verb; expected one of {known}")

    def check(self, document):
        text = (self.root / document).read_text()
        for number, line, language in lines_of(text):
            if language is not None:
                if language in ("", "sh", "bash", "console", "shell"):
                    self.check_verbs(document, number, line.split("#")[0])
                    for word in line.split():
                        if "/" in word:
                            self.check_path(document, number, word)
                continue
            for code in re.findall(r"(`+)(.+?)\1", line):
                self.check_verbs(document, number, code[1])
                for word in code[1].split():
                    self.check_path(document, number, word)
            prose = re.sub(r"(`+).+?\1", lambda m: "x" * len(m[0]), line)
            for target in re.findall(r"\]\(\s*<?([^)\s>]+)>?[^)]*\)", prose):
                self.check_link(document, number, target)
            for target in re.findall(r"^\s*\[[^\]]+\]:\s*(\S+)", prose):
                self.check_link(document, number, target)
            for target in re.findall(r'<(?:img|a)\b[^>]*\b(?:src|href)="([^"]+)"', prose):
                self.check_link(document, number, target)

    def run(self):
        if not self.verbs:
            self.fault("train/verbs", 1, "no verb was found")
        for document in self.files:
            if document.endswith(".md"):
                self.check(document)
        return self.faults


def self_test():
    """Plants each kind of fault in a copy of the documents, and checks that it is found on its line."""
    planted = [
        ("a link to [nothing](docs/nothing.md)", "the link docs/nothing.md leads nowhere"),
        ("a link to [no heading](#no-such-heading)", "has no heading of that name"),
        ("a link to [no heading](../planted.md#nor-this)", "has no heading of that name"),
        ("an image ![x](nothing.png)", "the link nothing.png leads nowhere"),
        ("`kernels/norm/nothing.h`", "`kernels/norm/nothing.h` does not exist"),
        ("`kernels/nothing/`", "`kernels/nothing` does not exist"),
        ("`nothing.cu` alone", "`nothing.cu` does not exist"),
        ("`tests/nothing_*.cpp`", "nothing matches `tests/nothing_*.cpp`"),
        ("`dae nothing RUN`", "`dae nothing`: no such verb"),
        ("`build/dae --threads 2 nothing`", "`dae nothing`: no such verb"),
    ]
    fine = ("# A heading, with `code`\n[here](#a-heading-with-code) [room](../kernels/device) `kernels/{cpu,cuda}` "
            "`kernels/<family>/NAME.cu` `models/NAME.h` `dae --device cuda train RECIPE` `a/b` `images/s` `philox.h` "
            "`dae VERB` `f(dae.cu)` [web](https://example.org/x.md) `runs/main/report.html` `build/dae`\n")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in files_of(ROOT):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            if name.endswith(".md") or name.startswith("train/verbs/") or name == "bench/command.cpp":
                shutil.copyfile(ROOT / name, copy / name)
            else:
                (copy / name).touch()
        before = set(Checker(copy).run())
        document = copy / "planted/planted.md"
        document.parent.mkdir()
        (copy / "planted.md").write_text("# Nothing\n")
        document.write_text(fine)
        assert set(Checker(copy).run()) == before, f"faults in a good document: {set(Checker(copy).run()) - before}"
        document.write_text(fine + "".join(f"{text}\n" for text, _ in planted) + "```\nbuild/dae nothing\n```\n")
        new = sorted(set(Checker(copy).run()) - before)
        for line, (text, what) in enumerate(planted, 3):
            assert any(f.startswith(f"planted/planted.md:{line}: ") and what in f for f in new), f"not found: {text}"
        block = f"planted/planted.md:{len(planted) + 4}: `dae nothing`"
        assert any(f.startswith(block) for f in new), "not found: a block"
        assert len(new) == len(planted) + 1, f"more than was planted: {new}"
    print("check_docs: every planted fault was found")


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if sys.argv[1:]:
        sys.exit(__doc__)
    faults = Checker(ROOT).run()
    for fault in faults:
        print(fault)
    sys.exit(bool(faults))


main()
