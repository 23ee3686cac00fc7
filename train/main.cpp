// The program: the options of every verb, the call of the verb, and errors as one line and an exit code.

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "engine/tensor.h"
#include "kernels/cpu/parallel.h"
#include "kernels/device/error.h"
#include "train/recipe/words.h"
#include "train/run/signals.h"
#include "train/verbs/commands.h"

using namespace dae;

namespace {

// Returns the device of --device. "auto" is CUDA if it is built and a GPU is found; an emulated device must
// be asked for.
Device device_of(const std::string& text) {
  const bool numbered = text.rfind("cuda:", 0) == 0 && text.size() > 5 && text.size() < 8 &&
                        text.find_first_not_of("0123456789", 5) == std::string::npos;
  if (text == "cpu" || (text == "auto" && kCuda != CudaBuild::real)) return Device::cpu;
  if (text != "auto" && text != "cuda" && !numbered)
    fail(Fault::usage, "--device: expected auto, cpu, cuda or cuda:INDEX, found {}", text);
  if constexpr (kHasCuda) {
    if (text == "auto" && gpu_count() == 0) return Device::cpu;
    use_gpu(numbered ? std::stoi(text.substr(5)) : 0);
    return Device::cuda;
  }
  fail(Fault::usage, "--device: expected auto or cpu, found {}, which this build has not", text);
}

constexpr const char* kExitCodes =
    "Exit codes: 0 done; 1 the answer is no (does not fit, over the tolerance, does not hold), or a bug;\n"
    "2 words, settings, or a run that another process trains; 3 files, data, a full disk, values not "
    "finite;\n"
    "128 + n signal n, the step saved: 130 Ctrl-C, 143 kill, 129 closed terminal, 141 broken pipe";

int run(int argc, char** argv) {
  CLI::App app{"dae: trains, samples and judges the latent generative models of arXiv 2307.08283"};
  app.require_subcommand(1);
  app.fallthrough();
  app.formatter(help_formatter());
  app.footer(kExitCodes);
  Options options;
  std::string device = "auto";
  app.add_option("--device", device, "where to compute: auto, cpu, cuda or cuda:INDEX")
      ->capture_default_str();
  app.add_option("--threads", options.threads, "CPU threads; results do not depend on it")
      ->check(CLI::Range(1, 1024));
  app.add_option("--seed", options.seed, "seed of everything drawn, in place of the recipe's");
  app.add_flag("--json", options.json, "one JSON object on stdout");
  app.add_flag("-q,--quiet", options.quiet, "no progress");
  app.add_flag("-v,--verbose", options.verbose, "say more");
  Commands commands{app, options, {}};
  add_training(commands);
  add_reproduce(commands);
  add_weights(commands);
  add_inspect(commands);
  add_eval(commands);
  add_doctor(commands);
  add_bench(commands);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help
    std::fprintf(stderr, "dae: usage: %s\n", one_line(usage_error(app, e)).c_str());
    return int(Fault::usage);
  }
  options.device = device_of(device);
  if (options.threads > 0) set_thread_count(options.threads);
  return commands.verb();
}

// Runs the verb and returns the exit code. Prints errors.
int run_told(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const Error& e) {
    std::fprintf(stderr, "dae: %s\n", one_line(e.what()).c_str());
    return int(e.fault);
  } catch (const std::filesystem::filesystem_error& e) {
    std::fprintf(stderr, "dae: %s\n", one_line(e.what()).c_str());
    return int(Fault::data);
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "dae: memory: expected enough for the model and its batch, found none left\n");
  } catch (const std::exception& e) {
    if (signal_caught() == SIGPIPE) return 128 + SIGPIPE;  // nobody reads the output
    if (std::ferror(stdout)) return 0;                     // fmt could not write to stdout; main() reports it
    std::fprintf(stderr, "dae: internal error: %s\n", one_line(e.what()).c_str());
  }
  return int(Fault::internal);
}

}  // namespace

int main(int argc, char** argv) {
  // A file over the size limit makes write() fail and does not end the program.
  std::signal(SIGXFSZ, SIG_IGN);
  const int code = run_told(argc, argv);
  errno = 0;
  if (std::fflush(stdout) == 0 && !std::ferror(stdout)) return code;
  std::fprintf(stderr, "dae: stdout: expected room for what was to be told, found: %s\n",
               errno ? std::strerror(errno) : "an error of a write before");
  return code ? code : int(Fault::data);
}
