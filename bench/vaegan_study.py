#!/usr/bin/env python3
"""Runs the study of bench/studies/vaegan.md, one run at a time, and prints its tables.

    nice -n 19 bench/vaegan_study.py OUT --binary build/dae --data CIFAR --inception WEIGHTS
    bench/vaegan_study.py OUT --table

OUT holds the run folders, one JSON file for each finished run, and a copy of the program and of its two
recipes, so that a rebuild does not change the study. The same command continues an interrupted study: it
resumes a run from its last checkpoint and skips finished runs. Needs only Python.
"""
import argparse
import fcntl
import json
import math
import os
import shutil
import signal
import subprocess
import sys

IMAGES = "2000"
COMMON = ["model.width=0.25", "model.discriminator_width=0.25", "train.batch=64", "train.checkpoint_every=100",
          "train.sample_every=1000", "train.log_every=10", "train.keep=1"]
TUNED = [("loss.feature_generator", [1, 3, 10, 30]), ("loss.reconstruction", [0, 1, 10]), ("loss.balance", [0, 0.35])]
MUST_WIN_BY = 0.02  # the margin by which a value replaces the first one of its list
LOWEST_LOSS_D, LAST_STEPS = 0.05, 200
SWITCHES = [(d, r) for d in ("keep", "fresh") for r in ("continue", "restart")]
SEEDS = [1, 2, 3]
ARMS = {"joint": [], "dae-width": ["schedule.weak=width"], "dae-dropout": ["schedule.weak=dropout"]}
MEASURES = {"fid": "FID-768", "error": "error", "encoder": "Lipschitz, encoder", "decoder": "Lipschitz, decoder",
            "rank": "effective rank", "directions": "directions with 90 %"}
STUDENT_T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776}  # 95 %, two-sided, by degrees of freedom


class Study:
    def __init__(self, out, data=None, inception=None):
        self.out, self.data, self.inception = out, data, inception

    def path(self, *parts):
        return os.path.join(self.out, *parts)

    def dae(self, *words, read=False):
        command = [self.path("dae"), "--threads", "1", *words]
        print("+", " ".join(command), flush=True)
        done = subprocess.run(command, stdout=subprocess.PIPE if read else None, text=True)
        if done.returncode:
            sys.exit(f"vaegan_study: exit code {done.returncode}; the same command goes on from here")
        return json.loads(done.stdout) if read else None

    def result(self, name):
        """Returns the result of a finished run, or None."""
        try:
            with open(self.path("results", name + ".json")) as file:
                return json.load(file)
        except FileNotFoundError:
            return None

    def run(self, name, arm, steps, seed, sets, whole=False):
        """Trains and measures a run, unless that is done. whole: also measures Lipschitz constants and
        latents."""
        found = self.result(name)
        if found:
            return found
        run = self.path("runs", name)
        sets = COMMON + [f"data.path={self.data}", f"train.steps={steps}", f"seed={seed}"] + ARMS[arm] + sets
        recipe = self.path("vaegan-cifar10.toml" if arm == "joint" else "dae-vaegan-cifar10.toml")
        resume = ["--resume"] if os.path.exists(os.path.join(run, "recipe.toml")) else []
        self.dae("-q", "train", recipe, *(word for s in sets for word in ("--set", s)), "--out", run, *resume)

        reference = self.path("reference.npz")
        fid = ["--count", IMAGES, "--layer", "768", "--protocol", "pytorch-fid", "--weights", self.inception, "--json"]
        if not os.path.exists(reference):
            self.dae("-q", "eval", "fid", os.path.join(self.data, "data_batch_1.bin"), "--save-stats",
                     self.path("making.npz"), *fid)
            os.rename(self.path("making.npz"), reference)
        distance = self.dae("-q", "eval", "fid", run, reference, "--reconstructions", *fid, read=True)
        pictures = self.dae("-q", "--json", "reconstruct", run, "--count", IMAGES, read=True)
        with open(os.path.join(run, "metrics.jsonl")) as file:
            logged = [json.loads(line) for line in file]
        last = [line["loss_d"] for line in logged if line["step"] > steps - LAST_STEPS]
        found = {"name": name, "arm": arm, "seed": seed, "steps": steps, "sets": sets, "fid": distance["value"],
                 "error": pictures["mse"], "loss_d": sum(last) / len(last)}
        if whole:
            stretch = self.dae("-q", "--json", "inspect", "lipschitz", run, "--pairs", IMAGES, read=True)["metrics"][0]
            latent = self.dae("-q", "--json", "inspect", "latent", run, "--count", IMAGES, read=True)["latents"][0]
            total, held, directions = sum(latent["spectrum"]), 0, 0
            while held < 0.9 * total:
                held, directions = held + latent["spectrum"][directions], directions + 1
            found |= {"encoder": stretch["encoder"]["mean"], "decoder": stretch["decoder"]["mean"],
                      "rank": latent["effective_rank"], "directions": directions, "spectrum": latent["spectrum"]}
        os.makedirs(self.path("results"), exist_ok=True)
        with open(self.path("results", name + ".new"), "w") as file:
            json.dump(found, file)
        os.rename(self.path("results", name + ".new"), self.path("results", name + ".json"))
        return found

    def everything(self, make):
        """Goes through the three parts in the order of the rule. make(name, arm, steps, seed, sets, whole)
        returns a result, or None, which ends the walk. Returns the parts as far as they are known."""
        parts = {"tuning": [], "switch": [], "comparison": [], "chosen": None, "switched": None}

        def candidate(part, label, result):
            won = result["loss_d"] < LOWEST_LOSS_D
            parts[part].append((label, result, "its discriminator won" if won else ""))
            return math.inf if won else result["fid"]

        best = {key: values[0] for key, values in TUNED}
        for key, values in TUNED:
            scores = []
            for value in values:
                tried = best | {key: value}
                name = "joint-" + "-".join(f"{v:g}" for v in tried.values())
                result = make(name, "joint", 2000, 0, [f"{k}={v}" for k, v in tried.items()], False)
                if result is None:
                    return parts
                scores.append(candidate("tuning", ", ".join(f"{k} {v:g}" for k, v in tried.items()), result))
            lowest = min(range(len(values)), key=lambda i: scores[i])
            best[key] = values[lowest if scores[lowest] < scores[0] - MUST_WIN_BY else 0]
        parts["chosen"] = chosen = [f"{k}={v}" for k, v in best.items()]

        scores = []
        for discriminator, rates in SWITCHES:
            sets = chosen + [f"schedule.discriminator={discriminator}", f"schedule.rates={rates}"]
            result = make(f"dae-width-{discriminator}-{rates}", "dae-width", 2000, 0, sets, False)
            if result is None:
                return parts
            scores.append(candidate("switch", f"discriminator {discriminator}, rates {rates}", result))
        discriminator, rates = SWITCHES[min(range(len(SWITCHES)), key=lambda i: scores[i])]
        parts["switched"] = [f"schedule.discriminator={discriminator}", f"schedule.rates={rates}"]

        for seed in SEEDS:
            for arm in ARMS:
                sets = chosen + ([] if arm == "joint" else parts["switched"])
                result = make(f"{arm}-seed-{seed}", arm, 6000, seed, sets, True)
                if result is None:
                    return parts
                parts["comparison"].append(result)
        return parts


def print_table(header, rows):
    print("\n| " + " | ".join(header) + " |\n|---|" + "--:|" * (len(header) - 1))
    for row in rows:
        print("| " + " | ".join(row) + " |")


def interval(differences):
    mean, n = sum(differences) / len(differences), len(differences)
    if n < 2:
        return f"{mean:+.4g}, one seed"
    deviation = math.sqrt(sum((d - mean)**2 for d in differences) / (n - 1))
    half = STUDENT_T[n - 1] * deviation / math.sqrt(n)
    return f"{mean:+.4g} ({mean - half:.4g} to {mean + half:.4g})"


def print_parts(parts):
    for part in ("tuning", "switch"):
        if parts[part]:
            seen = {}
            for label, r, note in parts[part]:
                seen[label] = [label, f"{r['fid']:.4f}", f"{r['error']:.4f}", f"{r['loss_d']:.3f}", note]
            print_table([part, "FID-768", "error", "loss_d, last 200 steps", ""], seen.values())
    for what in ("chosen", "switched"):
        if parts[what]:
            print(f"\n{what}: " + ", ".join(parts[what]))
    runs = parts["comparison"]
    if not runs:
        return
    print_table(["6,000 steps", *MEASURES.values()],
                [[f"{r['arm']}, seed {r['seed']}"] + [f"{r[m]:.4g}" for m in MEASURES] for r in runs])
    by = {(r["arm"], r["seed"]): r for r in runs}
    rows = []
    for arm in ARMS:
        seeds = [s for s in SEEDS if (arm, s) in by and ("joint", s) in by]
        if arm != "joint" and seeds:
            rows.append([f"{arm} less joint"] +
                        [interval([by[arm, s][m] - by["joint", s][m] for s in seeds]) for m in MEASURES])
    if rows:
        print_table(["mean of paired differences (95 % interval)", *MEASURES.values()], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--binary", help="copied to OUT/dae, unless it is there")
    parser.add_argument("--data", help="folder of CIFAR-10's binary batches")
    parser.add_argument("--inception", help="weights under pytorch-fid's names, up to layer 768 at least")
    parser.add_argument("--table", action="store_true", help="runs nothing: what is finished")
    arguments = parser.parse_args()
    study = Study(arguments.out, arguments.data, arguments.inception)
    if arguments.table:
        print_parts(study.everything(lambda name, *_: study.result(name)))
        return
    if not (arguments.binary and arguments.data and arguments.inception):
        parser.error("--binary, --data and --inception are needed to run")
    os.makedirs(study.out, exist_ok=True)
    lock = open(study.path("lock"), "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"vaegan_study: {study.out}: another one is at work there")
    if not os.path.exists(study.path("dae")):
        recipes = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../train/recipes")
        for name in ("vaegan-cifar10.toml", "dae-vaegan-cifar10.toml"):
            shutil.copy(os.path.join(recipes, name), study.path(name))
        shutil.copy(arguments.binary, study.path("dae.new"))
        os.rename(study.path("dae.new"), study.path("dae"))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    print_parts(study.everything(study.run))


if __name__ == "__main__":
    main()
