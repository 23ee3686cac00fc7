#!/usr/bin/env python3
"""Tests bench/gpu.py with programs that hang, crash, pass no case or lose their device. Each is named in the
results and the others still run. Nothing is lost when the time is up or the script is killed. The runs come
back whole in pieces."""
import json, os, signal, subprocess, sys, tempfile, time
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent.parent / "bench/gpu.py"
TEST = """#!/bin/sh
case "$1" in
  --list*) printf '[doctest] listing all test case names\\n=====\\n%s\\n=====\\n[doctest] unskipped: 1\\n' "NAMES"; exit ;;
esac
ran() { echo "[doctest] test cases: $1 | 1 passed | 0 failed"; echo "[doctest] assertions: $2 | 0 failed |"; }
case "$1" in
  *,*) ran 0 0 ;;  # two filters, for doctest
  *passes*) ran 1 7 ;;
  *hangs*) sh -c "sleep 20; : $0" & echo waiting; wait ;;
  *crashes*) kill -SEGV $$ ;;
  *fails*) echo "ERROR: CHECK( a == b ) is NOT correct!"; ran 1 1; exit 1 ;;
  *empty*) ran 1 0 ;;
  *) ran 0 0 ;;
esac
"""
DAE = """#!/bin/sh
case "$1" in
  bench)
    while [ "$1" != --save ]; do shift; done
    echo '{"rows": [{"op": "matmul"}]}' > "$2"; sleep 1000 ;;
  train)
    mkdir -p "$4/checkpoints"; echo "$*" >> "$4/commands"; touch "$4/recipe.toml"
    last=$(ls "$4/checkpoints" | wc -l)
    trap 'head -c 300000 /dev/urandom > "$4/checkpoints/step-0000000$((last + 1)).safetensors"; exit 0' TERM
    echo '{"step": 3, "loss_d": 1.25}' > "$4/metrics.jsonl"
    case "$2" in dcgan*) sleep 1000 & wait ;; esac
    kill -TERM $$ ;;
  *) echo "dae 0" ;;
esac
"""


def program(folder, name, text):
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def call(*arguments, **more):
    return subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True, **more)


def lines(out):
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]


with tempfile.TemporaryDirectory() as folder:
    folder = Path(folder)
    bin, out, runs = folder / "bin", folder / "out", folder / "runs"
    bin.mkdir()
    names = ["passes, with a comma<float>", "hangs", "crashes", "fails", "empty", "is nowhere"]
    program(bin, "test_variants_gpu", TEST.replace("NAMES", "\n".join(names)))
    program(bin, "test_vq_gpu", TEST.replace("NAMES", "passes"))
    program(bin, "test_large_gpu", TEST.replace("NAMES", "passes: stride 2\npasses: products"))
    program(bin, "test_twin_gpu", "#!/bin/sh\nexit 127\n")
    program(bin, "dae", DAE)
    options = ["--out", out, "--programs", bin, "--runs", runs, "--case-limit", 1, "--piece-mb", 0.25, "--python", "/bin/false"]
    began = time.monotonic()
    ended = call(*options, "--total", 30)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert time.monotonic() - began < 35, "longer than its total"
    found = {line["what"]: line for line in lines(out)}
    status = {what: line["status"] for what, line in found.items()}
    order = [line["what"] for line in lines(out)]
    for what, expected in [("test_variants_gpu: passes, with a comma<float>", "passed"),
                           ("test_variants_gpu: hangs", "timeout"), ("test_variants_gpu: crashes", "crashed by signal 11"),
                           ("test_variants_gpu: fails", "failed"), ("test_variants_gpu: empty", "nothing ran"),
                           ("test_variants_gpu: is nowhere", "nothing ran"), ("test_vq_gpu: passes", "passed"),
                           ("test_twin_gpu", "lists no cases"), ("test_large_gpu: passes: stride 2", "passed"),
                           ("dae bench", "not all reached"), ("PyTorch", "exit 1"), ("dcgan-cifar10", "done"),
                           ("dae-vaegan-cifar10", "done")]:
        assert status[what] == expected, (what, status[what])
    assert order.index("test_large_gpu: passes: stride 2") < order.index("test_large_gpu: passes: products")
    assert order.index("test_large_gpu: passes: products") < order.index("test_vq_gpu: passes") < order.index("test_variants_gpu: hangs")
    assert found["dae bench"]["rows"] == 1 and found["dcgan-cifar10"]["loss_d"] == 1.25
    assert "CHECK( a == b )" in (out / "log.txt").read_text() and "CHECK( a == b )" in found["test_variants_gpu: fails"]["error"]
    assert len((out / "results.md").read_text().splitlines()) == len(order) + 2
    assert not subprocess.run(["pgrep", "-f", str(folder)], capture_output=True).stdout, "a process is left"

    # The pieces: the small files come first, the rest in later calls, and the joined files are whole.
    index = json.loads((out / "index.json").read_text())
    assert len(index) >= 4 and (out / "runs.000").exists()
    few = folder / "few"
    assert call("pieces", "--runs", runs, "--out", few, "--piece-mb", 0.25, "--return-mb", 0.5, "--first", 2).returncode == 0
    assert sorted(p.name for p in few.glob("runs.*")) == ["runs.002", "runs.003"]
    (out / "runs.002").unlink()
    joined = folder / "joined"
    ended = call("join", out, "--runs", joined)
    assert ended.returncode == 1 and "missing pieces: [2]" in ended.stdout, ended.stdout
    assert (joined / "dcgan-cifar10/recipe.toml").exists()
    assert call("join", out, few, "--runs", joined).returncode == 0
    for p in runs.rglob("*"):
        assert p.is_dir() or (joined / p.relative_to(runs)).read_bytes() == p.read_bytes(), p
    (few / "runs.002").write_bytes(b"x" * (1 << 18))
    assert "expected the hash" in call("join", out, few, "--runs", joined).stderr

    # A second call resumes the runs.
    call(*options, "--total", 12, "--stages", "train", "--set", "train.steps=9")
    first, second = (runs / "dcgan-cifar10/commands").read_text().splitlines()
    assert "--resume" not in first and "--resume" in second and "train.steps=9" in second
    assert "train.graph=true" in first and "data.kind=procedural" in first

    # If the script is killed at any moment, the results so far are on the disk.
    killed = folder / "killed"
    process = subprocess.Popen([sys.executable, SCRIPT, "--out", killed, "--programs", bin, "--runs", folder / "none",
                                "--case-limit", "30", "--stages", "large", "tests"], stdout=subprocess.DEVNULL)
    while not (killed / "results.jsonl").exists() or "test_variants_gpu: passes" not in (killed / "results.jsonl").read_text():
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert [line["status"] for line in lines(killed)].count("passed") >= 3

    ended = call("--out", out, "--programs", folder / "nowhere")
    assert ended.returncode == 1 and "bench/bundle.sh makes it" in ended.stderr, ended.stderr
print("passed")
