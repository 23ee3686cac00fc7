#!/usr/bin/env python3
"""Runs all checks and measurements for a GPU in a quarter of an hour, with programs that were built before.

    bench/bundle.sh                          here: builds for the GPU and packs programs and libraries, .gpu/bundle.tar.xz
    bench/gpu.py --out OUT                   there: unpacks the bundle, then the stages below
    bench/gpu.py pieces --out OUT --first 2  there, in a later call: more of the runs' checkpoints
    bench/gpu.py join OUT...                 here: the runs again, from the pieces of all calls; then dae train --resume
    bench/gpu.py --out OUT --device emulated --total 150       the rehearsal, without a GPU

The stages:
    machine     a description of the machine
    large       the tests of large shapes; shapes that copies with strides read come first
    tests       every test case, each in a process of its own
    sanitizer   compute-sanitizer on a few cases
    bench       `dae bench` without naive rows
    peers       PyTorch on the same rows
    train       the paper's CIFAR-10 table: DCGAN, VAEGAN and DAE-VAEGAN in equal shares of the time, until the
                steps of their recipes are done

Each stage has a limit, a share of --total; time that one leaves goes to the next. A stage that fails or hangs
does not stop the next. Results are written line by line: results.jsonl, results.md, log.txt, bench.json,
torch.json; at the end come the runs in pieces. Needs only python3.
"""
import argparse, hashlib, json, os, re, shutil, signal, subprocess, sys, tarfile, tempfile, time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECIPES = ["dcgan-cifar10", "vaegan-cifar10", "dae-vaegan-cifar10"]
# The seconds of each stage out of a total of 840. Training has what is left. The reserve is for packing the
# runs.
SHARES = {"machine": 40, "large": 90, "tests": 180, "sanitizer": 60, "bench": 110, "peers": 80, "train": 840}
RESERVE = 20
SANITIZED = ["the nearest code", "tiled attention", "large convolutions of stride 2<bf16>"]
# Settings for training on the emulated device.
TINY = ["model.width=0.05", "model.discriminator_width=0.05", "train.batch=2", "train.log_every=1",
        "train.checkpoint_every=2", "train.sample_every=100"]


class Results:
    """Writes results as lines for people and for programs. Each line is on the disk as soon as it is
    known."""

    def __init__(self, out):
        self.out, self.failed = out, []
        self.start = time.monotonic()

    def append(self, name, text):
        with open(self.out / name, "a") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())

    def line(self, stage, what, status, seconds=0.0, **more):
        if status not in ("passed", "done", "skipped", "not reached", "not all reached"):
            self.failed.append(f"{stage}: {what}: {status}")
        first = not (self.out / "results.md").exists()
        self.append("results.jsonl", json.dumps({"stage": stage, "what": what, "status": status,
                                                 "seconds": round(seconds, 2), **more}) + "\n")
        if first:
            self.append("results.md", "| stage | what | status | s | |\n|---|---|---|--:|---|\n")
        detail = "; ".join(f"{k} {v}" for k, v in more.items()).replace("|", "\\|").replace("\n", " ")
        self.append("results.md", f"| {stage} | {what} | {status} | {seconds:.1f} | {detail} |\n")
        print(f"[{time.monotonic() - self.start:6.1f}] {stage}: {what}: {status} ({seconds:.1f} s) {detail}", flush=True)

    def log(self, title, text):
        self.append("log.txt", f"\n==== {title}\n{text[-20000:]}\n")


def run(command, limit, gently=False):
    """Runs a command. Returns (exit code, or None after the limit; output; seconds). At the limit the whole
    process group is killed; if `gently`, it first gets SIGTERM and ten seconds to write a checkpoint. A
    process that the driver holds is left behind."""
    start = time.monotonic()
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        try:
            process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=output,
                                       stderr=subprocess.STDOUT, cwd=ROOT, start_new_session=True)
        except OSError as error:
            return 127, str(error), 0.0
        code = None
        try:
            code = process.wait(max(limit, 0.01))
        except subprocess.TimeoutExpired:
            for end, wait in [(signal.SIGTERM, 10)] * gently + [(signal.SIGKILL, 2)]:
                os.killpg(process.pid, end)
                try:
                    process.wait(wait)
                    break
                except subprocess.TimeoutExpired:
                    pass
        output.seek(0)
        return code, output.read(), time.monotonic() - start


class Session:
    def __init__(self, arguments):
        self.arguments = arguments
        self.out = Path(arguments.out).resolve()
        self.out.mkdir(parents=True, exist_ok=True)
        self.results = Results(self.out)
        self.emulated = arguments.device == "emulated"
        self.bin = Path(arguments.programs).resolve()
        self.runs = Path(arguments.runs).resolve()
        self.end = time.monotonic() + arguments.total
        self.stage_end = self.end
        self.dae = self.bin / ("dae-emulated" if self.emulated else "dae")

    def left(self):
        return min(self.stage_end, self.end) - time.monotonic()

    def programs(self):
        suffix = "" if self.emulated else "_gpu"
        pattern = re.compile(r"test_(attention|graph|large|low_precision|twin|twin_models|variants|vq)" + suffix + "$")
        return sorted(p for p in self.bin.iterdir() if pattern.match(p.name))

    # ---- tests ---------------------------------------------------------------------------------------------

    def cases(self, program):
        code, text, _ = run([program, "--list-test-cases", "--no-colors"], min(20, self.left()))
        names = [line for line in text.splitlines() if line and not line.startswith(("[doctest]", "====="))]
        if code != 0 or not names:
            self.results.line("tests", program.name, "lists no cases", 0, exit=code)
            self.results.log(program.name, text)
        return names if code == 0 else []

    def case(self, stage, program, name, prefix=()):
        """Runs one test case in a process of its own, so that a lost device affects this case alone."""
        what = f"{program.name}: {name}"
        if self.left() < 2:
            self.results.line(stage, what, "not reached")
            return
        chosen = re.sub(r'[,"\\*]', "?", name)  # characters with a meaning in a filter
        code, text, seconds = run([*prefix, program, f"--test-case={chosen}", "--no-colors"],
                                  min(self.arguments.case_limit, self.left()))
        counts = re.search(r"test cases:\s*(\d+) .*?assertions:\s*(\d+)", text, re.S)
        more = {"assertions": int(counts.group(2))} if counts else {}
        if code is None:
            late = seconds >= self.arguments.case_limit and not self.emulated  # it is slow and detects deadlocks itself
            status = "timeout" if late else "not reached"
        elif code == 0 and counts and int(counts.group(1)) == 1 and more["assertions"] > 0:
            status = "passed"
        elif code == 0:
            status = "nothing ran"
        else:
            status = f"crashed by signal {-code}" if code < 0 else "failed"
        if status not in ("passed", "not reached"):
            self.results.log(what, text)
            error = re.search(r"(cuda: .*|ERROR: .*|========= (?:Invalid|Error|Race).*|DAE_.*)", text)
            more["error"] = error.group(0)[:160] if error else text.strip().splitlines()[-1][:160] if text.strip() else ""
        self.results.line(stage, what, status, seconds, **more)

    def large(self):
        for program in self.programs():
            if program.name.startswith("test_large"):
                for name in self.cases(program):
                    self.case("large", program, name)

    def tests(self):
        """Runs the programs in turn, one case of each, so that every family is tested early."""
        lists = [(p, self.cases(p)) for p in self.programs() if not p.name.startswith("test_large")]
        for i in range(max((len(names) for _, names in lists), default=0)):
            for program, names in lists:
                if i < len(names):
                    self.case("tests", program, names[i])

    def sanitizer(self):
        if self.emulated or not shutil.which("compute-sanitizer"):
            self.results.line("sanitizer", "compute-sanitizer", "skipped", 0,
                              why="the emulated device" if self.emulated else "not found")
            return
        for tool in ("memcheck", "racecheck", "synccheck"):
            for program in self.programs():
                for name in self.cases(program):
                    if any(name.startswith(some) for some in SANITIZED):
                        self.case("sanitizer", program, name, ["compute-sanitizer", "--tool", tool, "--error-exitcode", "1"])

    # ---- the other stages ----------------------------------------------------------------------------------

    def machine(self):
        for command in (["nvidia-smi"], [self.dae, "doctor", "--device", "cuda"],
                        ["git", "rev-parse", "HEAD"]):
            code, text, seconds = run(command, self.left())
            self.results.log(" ".join(map(str, command)), text)
            status = outcome(code) if command[0] == self.dae or code == 0 else "skipped"
            self.results.line("machine", " ".join([Path(command[0]).name, *map(str, command[1:])]), status, seconds,
                              says=(text.strip().splitlines() or [""])[-1][:100])

    def bench(self):
        rows = r"^(?!.*naive).* bf16$" if not self.emulated else r"^(?!.*naive)(matmul|step toy).* bf16$"
        seconds = 0.05 if not self.emulated else 0.001
        code, text, took = run([self.dae, "bench", "--device", "cuda", "--filter", rows, "--seconds", seconds, "--markdown",
                                "--save", self.out / "bench.json"], self.left())
        self.results.log("dae bench", text)
        rows = rows_in(self.out / "bench.json")
        self.results.line("bench", "dae bench", outcome(code, rows), took, rows=rows)

    def peers(self):
        """Times PyTorch on the rows that dae has, under the same names."""
        device = ["--device", "cuda", "--dtype", "bf16"] if not self.emulated else ["--filter", "step toy|^tanh"]
        code, text, took = run([self.arguments.python, "bench/peers.py", *device, "--graphs", "--seconds", 0.05,
                                "--save", self.out / "torch.json"], self.left())
        self.results.log("peers", text)
        if "No module named 'torch'" in text:
            self.results.line("peers", "PyTorch", "skipped", took, why="not installed")
            return
        rows = rows_in(self.out / "torch.json")
        self.results.line("peers", "PyTorch", outcome(code, rows), took, rows=rows)

    def train(self):
        """Trains the rows of the paper's table, each for an equal share of the rest of the time. Resumes
        existing runs."""
        data = os.environ.get("DAE_DATA", "")
        sets = [f"data.path={data}"] if data else ["data.kind=procedural"]
        sets += ["train.graph=true", "dtype=bf16", "train.keep=1", *(TINY if self.emulated else []), *self.arguments.set]
        for i, recipe in enumerate(RECIPES):
            run_folder = self.runs / recipe
            resume = ["--resume"] if (run_folder / "recipe.toml").exists() else []
            command = [self.dae, "train", recipe, "--out", run_folder, *resume, "--device", "cuda"]
            for setting in sets:
                command += ["--set", setting]
            share = self.left() / (len(RECIPES) - i)
            if share < 3:
                self.results.line("train", recipe, "not reached")
                continue
            before = steps_of(run_folder)
            code, text, seconds = run(command, share - min(10, share / 4), gently=True)
            self.results.log(f"train {recipe}", text)
            steps = steps_of(run_folder)
            status = "done" if code == 0 or code is None and steps > before else outcome(code, 0)
            last = metrics_of(run_folder)
            self.results.line("train", recipe, status, seconds, steps=steps,
                              per_second=round((steps - before) / max(seconds, 0.1), 1), **last)

    def go(self):
        print(f"results in {self.out}; {self.arguments.total} s in all", flush=True)
        scale = self.arguments.total / 840
        for name, share in SHARES.items():
            if name not in self.arguments.stages:
                continue
            now = time.monotonic()
            self.stage_end = min(now + share * scale, self.end - min(RESERVE, 0.1 * self.arguments.total))
            if self.left() < 2:
                self.results.line(name, "the stage", "not reached")
                continue
            try:
                getattr(self, name)()
            except Exception as error:  # an error in this script's own stage must not stop the next
                self.results.line(name, "the stage", f"{type(error).__name__}: {error}")
        self.stage_end = self.end
        pack_runs(self.runs, self.out, self.arguments)
        failed = self.results.failed
        print("\n".join(failed + [f"{len(failed)} failed; results in {self.out}"]), flush=True)
        return 1 if failed else 0


def outcome(code, rows=1):
    if code is None:
        return "not all reached" if rows else "hung"
    return "done" if code == 0 else f"exit {code}"


def rows_in(file):
    return len(json.loads(file.read_text())["rows"]) if file.exists() else 0


def steps_of(run_folder):
    return max((int(p.stem.split("-")[1]) for p in (run_folder / "checkpoints").glob("step-*.safetensors")), default=0)


def metrics_of(run_folder):
    """Returns the last losses of a run."""
    try:
        last = json.loads((run_folder / "metrics.jsonl").read_text().splitlines()[-1])
    except (OSError, IndexError, ValueError):
        return {}
    return {k: round(v, 4) for k, v in last.items() if k.startswith("loss") and isinstance(v, (int, float))}


# ---- runs in pieces: the files that a call returns are limited in size and in total ------------------------

def pack_runs(runs, out, arguments):
    """Packs the runs' files into numbered pieces of one stream, small files first, checkpoints last. Writes
    as many pieces, beginning with the first, as --return-mb holds. index.json names every piece with its
    hash, so that join knows what is missing."""
    if not runs.exists():
        return
    archive = runs.parent / (runs.name + ".tar")
    files = sorted((p for p in runs.rglob("*") if p.is_file()), key=lambda p: (p.suffix == ".safetensors", str(p)))
    if arguments.first == 0 or not archive.exists():
        with tarfile.open(archive, "w") as tar:
            for p in files:
                tar.add(p, p.relative_to(runs))
    size = int(arguments.piece_mb * (1 << 20))
    brought, index = int(arguments.return_mb * (1 << 20)), []
    with open(archive, "rb") as file:
        for number in range((archive.stat().st_size + size - 1) // size):
            piece = file.read(size)
            index.append(hashlib.sha256(piece).hexdigest())
            if number >= arguments.first and len(piece) <= brought:
                (out / f"runs.{number:03}").write_bytes(piece)
                brought -= len(piece)
            elif number >= arguments.first:
                brought = 0
    (out / "index.json").write_text(json.dumps(index) + "\n")
    there = sorted(p.name for p in out.glob("runs.[0-9]*"))
    print(f"runs: {len(index)} pieces of {arguments.piece_mb} MiB, here {', '.join(there) or 'none'}; others: "
          f"bench/gpu.py pieces --first N", flush=True)


def join(folders, runs):
    index = json.loads((Path(folders[-1]) / "index.json").read_text())
    found = {p.name: p for folder in folders for p in Path(folder).glob("runs.[0-9]*")}
    missing = [n for n in range(len(index)) if f"runs.{n:03}" not in found]
    runs.mkdir(parents=True, exist_ok=True)
    joined = runs.parent / (runs.name + ".tar")
    with open(joined, "wb") as file:
        for n in range(missing[0] if missing else len(index)):
            piece = found[f"runs.{n:03}"].read_bytes()
            if hashlib.sha256(piece).hexdigest() != index[n]:
                sys.exit(f"gpu.py join: {found[f'runs.{n:03}']}: expected the hash of {folders[-1]}/index.json, found another")
            file.write(piece)
    count = 0
    try:
        with tarfile.open(joined, "r|") as tar:
            for member in tar:
                tar.extract(member, runs)
                count += 1
    except tarfile.ReadError:  # the first missing piece begins inside a file
        pass
    joined.unlink()
    print(f"{count} files in {runs}" + (f"; missing pieces: {missing}" if missing else ""))
    return 1 if missing else 0


def unpack_bundle(programs):
    """Unpacks the bundle beside the programs' folder, unless that has been done."""
    bundle = programs.parent / "bundle.tar.xz"
    if bundle.exists() and not (programs / ".unpacked").exists():
        with tarfile.open(bundle) as tar:
            tar.extractall(programs)
        (programs / ".unpacked").touch()
    if not programs.is_dir():
        sys.exit(f"gpu.py: {programs}: expected programs or {bundle}, found neither; bench/bundle.sh makes it")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", nargs="?", choices=["run", "pieces", "join"], default="run")
    parser.add_argument("folders", nargs="*", help="of join: the results of all calls, the newest last")
    parser.add_argument("--out", help="where results go")
    parser.add_argument("--total", type=float, default=840, help="seconds for everything, below the limit of what calls this")
    parser.add_argument("--case-limit", type=float, default=60, help="seconds for a test case")
    parser.add_argument("--device", choices=["cuda", "emulated"], default="cuda")
    parser.add_argument("--stages", nargs="*", choices=list(SHARES), default=list(SHARES))
    parser.add_argument("--programs", default=str(ROOT / ".gpu/bin"), help="folder of dae and the test programs")
    parser.add_argument("--runs", default=str(ROOT / ".gpu/runs"), help="folder of the training runs; they go on")
    parser.add_argument("--set", nargs="*", default=[], help="settings of the training, for instance train.steps=20000")
    parser.add_argument("--python", default=sys.executable, help="one that has PyTorch")
    parser.add_argument("--first", type=int, default=0, help="the first piece to bring")
    parser.add_argument("--piece-mb", type=float, default=15.5)
    parser.add_argument("--return-mb", type=float, default=31)
    arguments = parser.parse_args()
    if arguments.verb == "join":
        return join(arguments.folders, Path(arguments.runs))
    if not arguments.out:
        parser.error("--out: expected the folder for results")
    if arguments.verb == "pieces":
        Path(arguments.out).mkdir(parents=True, exist_ok=True)
        return pack_runs(Path(arguments.runs), Path(arguments.out), arguments)
    unpack_bundle(Path(arguments.programs).resolve())
    return Session(arguments).go()


if __name__ == "__main__":
    sys.exit(main())
