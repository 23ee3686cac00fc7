// Run folders in use: several processes on one folder, runs resumed from another place or to another length,
// the user's own files in the folder, terminals that close, and full disks.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "data/files/safetensors.h"
#include "data/images/image.h"
#include "kernels/device/philox.h"
#include "tests/support/program.h"

namespace dae {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

// Runs on points, of some milliseconds each.
const std::string kToy =
    "train toy --threads 1 --set model.encoder_hidden=3 --set model.decoder_hidden=2 --set train.batch=8 "
    "--set data.count=64 --set train.log_every=1 --set optimizer.decay=constant ";
const std::string kDae = kToy + "--set schedule.kind=dae --set train.checkpoint_every=2 --set train.keep=1 ";
const std::string kEndless = kToy + "--set train.steps=100000000 --set train.checkpoint_every=100000000 ";
// Models of images, for runs of a step or two.
const std::string kTiny =
    "-q --threads 1 --set data.kind=procedural --set data.count=64 --set train.batch=4 --set model.z_dim=8 "
    "--set model.width=0.03125 --set train.steps=1 --set train.sample_every=100 --set probe.every=0 ";

struct Told {
  int code;
  std::string text;  // stdout and stderr
  bool has(const std::string& part) const { return text.find(part) != std::string::npos; }
};

// Runs a shell command in the folder; `dae` in it is the program.
Told shell(const Folder& folder, const std::string& command) {
  const std::string all = "cd '" + folder.path.string() + "' && dae() { '" + DAE_PROGRAM + "' \"$@\"; }; { " +
                          command + "; } 2>&1";
  std::FILE* pipe = popen(all.c_str(), "r");
  Told told{0, ""};
  for (int c; (c = std::fgetc(pipe)) != EOF;) told.text += char(c);
  const int status = pclose(pipe);
  told.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return told;
}

void expect(const Folder& folder, const std::string& command, int code,
            const std::vector<std::string>& parts = {}) {
  const Told told = shell(folder, command);
  INFO(command, " -> ", told.code, ": ", told.text);
  CHECK(told.code == code);
  for (const std::string& part : parts) {
    INFO("expected: ", part);
    CHECK(told.has(part));
  }
  if (code != 0) CHECK(std::count(told.text.begin(), told.text.end(), '\n') == 1);
}

// A process of the program in the folder. error: a descriptor for its stderr, -1: none. first: a command that
// its shell runs before.
struct Process {
  pid_t id;
  Process(const Folder& folder, const std::string& arguments, int error = -1, const std::string& first = "") {
    id = fork();
    if (id != 0) return;
    const int nowhere = open("/dev/null", O_WRONLY);
    dup2(nowhere, 1), dup2(error < 0 ? nowhere : error, 2);
    const std::string command = first + "exec '" + DAE_PROGRAM + "' " + arguments;
    if (chdir(folder.path.c_str()) == 0) execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    _exit(127);
  }
  int wait() const {  // returns its exit code, -1 if a signal ended it
    int status = 0;
    waitpid(id, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  int wait(int signal) const {
    kill(id, signal);
    return wait();
  }
};

int64_t lines(const std::string& path) {
  const std::string text = read(path);
  return std::count(text.begin(), text.end(), '\n');
}

json last_line(const std::string& path) {
  std::istringstream in(read(path));
  std::string line, last = "{}";
  while (std::getline(in, line) && !in.eof()) last = line;
  return json::parse(last);
}

// Waits until a run has been started `starts` times and has logged three steps.
void wait_for_steps(const std::string& run, int64_t starts = 1) {
  for (int i = 0; i < 30000; ++i) {
    if (lines(run + "/environment.jsonl") >= starts && lines(run + "/metrics.jsonl") >= 3) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  FAIL("no steps in ", run);
}

std::string checkpoint(const std::string& run, int64_t step) {
  return fmt::format("{}/checkpoints/step-{:08}.safetensors", run, step);
}

}  // namespace

TEST_CASE("runs without images, a generator, an encoder or a decoder are refused by name") {
  const Folder folder;
  expect(folder, "dae " + kToy + "-q --set train.steps=1 --out toy", 0);
  for (const char* model : {"dcgan", "simclr"})
    expect(folder, fmt::format("dae train {0}-cifar10 {1} --out {0}", model, kTiny), 0);
  const std::string both = "expected a model with an encoder and a decoder, found a ";
  for (const auto& [arguments, part] : std::vector<std::pair<std::string, std::string>>{
           {"eval fid toy toy --count 4", "expected a model of images, found a toy"},
           {"eval precision-recall toy toy --count 4", "expected a model of images, found a toy"},
           {"eval psnr toy --reconstructions", "expected a model of images, found a toy"},
           {"sample toy", "expected a model of images, found a toy"},
           {"reconstruct toy", "expected a model of images, found a toy"},
           {"eval fid simclr simclr --count 4", "expected a model with a generator, found a simclr"},
           {"eval precision-recall simclr simclr --count 4",
            "expected a model with a generator, found a simclr"},
           {"eval psnr simclr --reconstructions", both + "simclr"},
           {"eval ssim dcgan --reconstructions", both + "dcgan"},
           {"eval fid dcgan --reconstructions --count 4", both + "dcgan"},
           {"reconstruct dcgan", both + "dcgan"}})
    expect(folder, "dae " + arguments, 2, {part});
}

TEST_CASE("--resume removes the program's own leftovers, and nothing else") {
  const Folder folder;
  expect(folder, "dae " + kToy + "-q --set train.steps=4 --set train.checkpoint_every=2 --out run", 0);
  fs::create_directory(folder / "run/checkpoints/notes");
  const std::vector<std::string> mine = {
      "checkpoints/best.pth",    "checkpoints/step-00000002.safetensors.bak",
      "checkpoints/notes/a.txt", "checkpoints/step-best.safetensors",
      "samples/montage.jpg",     "samples/step-00000009-mine.png",
      "samples/drawn.npz",       "notes.txt"};
  const std::vector<std::string> leftovers = {
      "checkpoints/step-00000008.safetensors.tmp", "samples/step-00000009-sample.png",
      "samples/step-00000003-views.png.tmp", "samples/step-00000007-reconstruction.png"};
  for (const auto* names : {&mine, &leftovers})
    for (const std::string& name : *names) write(folder / ("run/" + name), name);
  fs::remove(checkpoint(folder / "run", 4));
  expect(folder, "dae train -q --resume run", 0);
  CHECK(fs::exists(checkpoint(folder / "run", 4)));
  for (const std::string& name : mine) CHECK_MESSAGE(read(folder / ("run/" + name)) == name, name);
  for (const std::string& name : leftovers) CHECK_MESSAGE(!fs::exists(folder / ("run/" + name)), name);

  // A run may not begin in a folder with checkpoints but no recipe: it would treat the checkpoints as its
  // own.
  fs::create_directories(folder / "kept/checkpoints");
  fs::copy(checkpoint(folder / "run", 4), checkpoint(folder / "kept", 4));
  expect(folder, "dae " + kToy + "-q --set train.steps=2 --out kept", 2, {"kept", "step-00000004", "--out"});
}

TEST_CASE(
    "one process a run: the second is told who holds it; readers need no lock; it dies with its holder") {
  const Folder folder;
  {
    const Process first(folder, kEndless + "-q --out run");
    wait_for_steps(folder / "run");
    const std::string holder = fmt::format("process {} on ", first.id);
    expect(folder, "dae train -q --resume run", 2, {"run:", holder});
    expect(folder, "dae inspect run", 0, {"encoder"});
    CHECK(first.wait(SIGKILL) == -1);
  }
  {
    const Process again(folder, "train -q --resume run");
    wait_for_steps(folder / "run", 2);
    CHECK(again.wait(SIGTERM) == 143);
  }
  {  // two fresh starts
    const std::string start = kToy + "-q --set train.steps=300 --out fresh";
    const Process one(folder, start), two(folder, start);
    const int a = one.wait(), b = two.wait();
    CHECK(std::min(a, b) == 0);
    CHECK(std::max(a, b) == 2);
    CHECK(lines(folder / "fresh/metrics.jsonl") == 300);
  }
  const std::string compare =
      "compare toy toy --threads 1 -q --seeds 1 --set train.steps=100000000 --set train.log_every=1 --out c";
  const Process job(folder, compare);
  wait_for_steps(folder / "c/a-seed-0");
  expect(folder, "dae " + compare, 2, {"c:", fmt::format("process {} on ", job.id)});
  CHECK(job.wait(SIGINT) == 130);
}

TEST_CASE("a closed terminal and a log that nobody reads: the step is finished and saved") {
  const Folder folder;
  {
    const Process run(folder, kEndless + "-q --out hup");
    wait_for_steps(folder / "hup");
    CHECK(run.wait(SIGHUP) == 129);
    CHECK(fs::exists(checkpoint(folder / "hup", last_line(folder / "hup/metrics.jsonl")["step"])));
  }
  {  // under nohup it goes on
    const Process run(folder, kEndless + "-q --out nohup", -1, "trap '' HUP; ");
    wait_for_steps(folder / "nohup");
    kill(run.id, SIGHUP);
    CHECK(run.wait(SIGTERM) == 143);
  }
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  const Process run(folder, kEndless + "--out pipe", ends[1]);
  close(ends[1]);
  close(ends[0]);
  CHECK(run.wait() == 141);  // its first line of progress meets a closed pipe
  CHECK(fs::exists(checkpoint(folder / "pipe", last_line(folder / "pipe/metrics.jsonl")["step"])));
}

TEST_CASE("a result that could not be told is not a success") {
  const Folder folder;
  const std::string train = "dae " + kToy + "-q --json --set train.steps=1 --out ";
  expect(folder, train + "run > /dev/full", 3, {"dae: stdout:", "No space left"});
  CHECK(fs::exists(checkpoint(folder / "run", 1)));
  for (const char* verb : {"inspect run", "--json inspect run", "--help", "inspect compare run run"})
    expect(folder, fmt::format("dae {} > /dev/full", verb), 3, {"dae: stdout: expected room"});
  expect(folder, "dae inspect compare run run", 0);
}

TEST_CASE("other steps on --resume: written down, the switch stays where it was, its checkpoint too") {
  const Folder folder;
  expect(folder, "dae " + kDae + "--set train.steps=8 --out run", 0,
         {"stage 2 begins after step 4: the encoder is frozen"});
  expect(folder, "dae train --resume run --set train.steps=16", 0,
         {"train.steps was 8 and is 16", "switch stays at step 4"});
  const std::string recipe = read(folder / "run/recipe.toml");
  CHECK(recipe.find("\nsteps = 16\n") != std::string::npos);
  CHECK(recipe.find("\nswitch_step = 4\n") != std::string::npos);
  CHECK(fs::exists(checkpoint(folder / "run", 4)));  // train.keep is 1
  CHECK(fs::exists(checkpoint(folder / "run", 16)));
  CHECK_FALSE(fs::exists(checkpoint(folder / "run", 8)));
  // The command that began the run can still resume it.
  expect(folder, "dae " + kDae + "-q --set train.steps=16 --out run --resume", 0);

  // The result equals a run that had this switch from the start.
  expect(folder, "dae " + kDae + "-q --set train.steps=16 --set schedule.switch=0.25 --out whole", 0);
  CHECK(read(folder / "run/metrics.jsonl") == read(folder / "whole/metrics.jsonl"));

  // The same for a run that has not reached the switch.
  {
    const Process run(folder, kDae + "-q --set train.steps=100000000 --out early");
    wait_for_steps(folder / "early");
    CHECK(run.wait(SIGTERM) == 143);
  }
  expect(folder, "dae train --resume early --set train.steps=40000000", 2, {"40000000", "its switch"});
  expect(folder, "dae train --resume early --set train.batch=4", 2, {"batch = 8", "batch = 4"});
  expect(folder, "dae train --resume run --set train.steps=15", 2, {"at least 16", "15"});
  expect(folder, "dae train --resume run --set schedule.switch=0.75", 2, {"switch = 0.75"});
}

TEST_CASE("a run goes on from any folder, by its name alone; its data may have moved") {
  const Folder folder;
  std::vector<uint8_t> images(8 * 32 * 32 * 3);
  for (size_t i = 0; i < images.size(); ++i) images[i] = uint8_t(random_bits(Key{1, 0, 0}, i));
  save_safetensors(folder / "data.safetensors",
                   {{"images", "U8", {8, 32, 32, 3}, images.data(), images.size()}}, {});
  expect(folder,
         "dae train vaegan-cifar10 " + kTiny +
             "--set data.kind=tensors --set data.path=data.safetensors --set data.count=0 --out run",
         0);
  fs::create_directory(folder / "elsewhere");
  expect(folder, "cd elsewhere && dae train -q --resume ../run --set train.steps=2", 0);
  expect(folder, "cd elsewhere && dae reconstruct ../run --count 3 --out ../new/deep/r.png", 0);
  CHECK(fs::exists(folder / "new/deep/r.png"));
  fs::rename(folder / "data.safetensors", folder / "moved.safetensors");
  expect(folder, "dae reconstruct run --count 3", 3, {"data.safetensors"});
  expect(folder, "dae reconstruct run --count 3 --set data.path=moved.safetensors", 0);
  expect(folder, "dae sample run --count 3 --set data.path=moved.safetensors", 0);
  expect(folder, "dae train -q --resume run --set train.steps=3 --set data.path=moved.safetensors", 0);
  expect(folder, "dae train -q --resume run", 0);  // the run's recipe has the new path
  expect(folder, "dae train -q --resume nowhere", 2, {"nowhere", "run to resume"});
  CHECK_FALSE(fs::exists(folder / "nowhere"));

  // An output that cannot be written is refused before the work, which would take hours here.
  write(folder / "file", "not a folder");
  expect(folder, "dae sample run --count 1000000 --out file/s.png", 3, {"file", "folder"});
  expect(folder, "dae sample run --count 1000000 --out /proc/none/s.npz", 3, {"/proc/none", "written"});
}

TEST_CASE("weights of a run: RUN and RUN@STEP wherever weights are asked for") {
  const Folder folder;
  expect(folder, "dae " + kToy + "-q --set train.steps=4 --set train.checkpoint_every=2 --out run", 0);
  const std::vector<float> x(3 * 10, 0.5f);
  save_safetensors(folder / "x.safetensors", {{"x", "F32", {3, 10}, x.data(), x.size() * 4}}, {});
  const std::string sets = "--set model.encoder_hidden=3 --set model.decoder_hidden=2 ";
  const auto forward = [&](const std::string& weights, const std::string& output) {
    expect(
        folder,
        "dae -q forward toy " + sets + "--weights " + weights + " --input x.safetensors --output " + output,
        0);
  };
  forward("run", "out/last.safetensors");  // makes the folder
  forward("run@2", "out/2.safetensors");
  forward("run/checkpoints/step-00000002.safetensors", "out/file.safetensors");
  expect(folder, "dae inspect compare out/2.safetensors out/file.safetensors --tolerance 0", 0);
  expect(folder, "dae inspect compare out/2.safetensors out/last.safetensors --tolerance 0 | tail -1; exit 1",
         1, {"not within"});
  expect(folder, "dae " + kToy + "-q --set train.steps=1 --init run@2 --out new", 0);
  forward("new@0", "out/new.safetensors");
  expect(folder, "dae inspect compare out/2.safetensors out/new.safetensors --tolerance 0", 0);
  expect(folder, "dae convert run@2 out/c.safetensors --model toy " + sets, 0, {"fits"});
  expect(folder, "dae " + kToy + "-q --init run@3 --out other", 3, {"step 3", "2, 4"});
}

TEST_CASE("hidden files are no data; files of other formats are counted aloud") {
  const Folder folder;
  fs::create_directories(folder / "images/.git");
  const std::vector<uint8_t> grey(32 * 32 * 3, 99);
  for (const char* name : {"a.png", "b.png"})
    save_png(folder / (std::string("images/") + name), grey.data(), 32, 32, 3);
  for (const char* name : {".c.png", ".git/d.png", "e.gif", "f.GIF", "g.txt", "LICENCE"})
    write(folder / (std::string("images/") + name), "no picture");
  const std::string skipped = "images: skipped 2 .gif, 1 .txt, 1 without an ending";
  expect(folder,
         "dae train vaegan-cifar10 --threads 1 --set data.kind=folder --set data.path=images --set "
         "train.batch=2 "
         "--set model.z_dim=8 --set model.width=0.03125 --set train.steps=1 --out run",
         0, {skipped});
  const json manifest = json::parse(read(folder / "run/manifest.json"));
  CHECK(manifest["count"] == 2);
  CHECK(manifest["skipped"] == "2 .gif, 1 .txt, 1 without an ending");
  expect(folder, "dae eval psnr images images", 0, {skipped});
  CHECK_FALSE(shell(folder, "dae -q eval psnr images images").has("skipped"));
  for (const char* name : {"a.png", "b.png"}) fs::remove(folder / (std::string("images/") + name));
  expect(folder, "dae eval psnr images images", 3, {"images", "found 2 .gif, 1 .txt"});
}

}  // namespace dae
