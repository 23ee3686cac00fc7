// The command line: which words mean what, and nothing else.
#include <omp.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <functional>

#include "engine/tensor.h"
#include "kernels/error.h"
#include "train/verbs.h"

namespace {

std::string one_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  for (char& c : text)
    if (c == '\n') c = ' ';
  return text;
}

// auto: CUDA where it is built and a GPU is found; an emulated device has to be asked for.
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

int run(int argc, char** argv) {
  CLI::App app{"dae: trains, samples and judges the latent generative models of arXiv 2307.08283"};
  app.require_subcommand(1);
  app.fallthrough();
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
  std::function<int()> verb;

  CLI::App* train_verb = app.add_subcommand("train", "train a recipe into a run folder");
  TrainArguments t;
  train_verb->add_option("recipe", t.recipe, "TOML file or the name of a shipped recipe")->required();
  train_verb->add_option("--set", t.sets, "key=value in place of the recipe's, e.g. train.steps=100")
      ->allow_extra_args(false);
  train_verb->add_option("--out", t.out, "run folder")->required();
  train_verb->add_option("--init", t.init, "safetensors file with the weights to start from");
  train_verb->add_flag("--resume", t.resume, "go on from the run folder's last checkpoint");
  train_verb->add_option("--stage", t.stage, "2: start with the second stage")->check(CLI::Range(1, 2));
  train_verb->add_option("--from", t.from, "RUN or RUN@STEP: the stage-1 checkpoint of --stage 2");
  train_verb->callback([&] { verb = [&] { return train(t, options); }; });

  PictureArguments p;
  const auto add_picture = [&](const char* name, const char* what,
                               int (*f)(const PictureArguments&, const Options&)) {
    CLI::App* sub = app.add_subcommand(name, what);
    sub->add_option("run", p.run, "run folder, or RUN@STEP")->required();
    sub->add_option("--count", p.count, "images")->check(CLI::Range(1, 1000000))->capture_default_str();
    sub->add_option("--out", p.out, "picture.png, a grid, or arrays.npz");
    sub->callback([&, f] { verb = [&, f] { return f(p, options); }; });
  };
  add_picture("sample", "draw images from a trained run", sample);
  add_picture("reconstruct", "images of the data beside their reconstructions", reconstruct);

  CLI::App* reproduce = app.add_subcommand("reproduce", "make a table of the paper again");
  reproduce->require_subcommand(1);
  CLI::App* toy_table = reproduce->add_subcommand("toy", "the toy VAE: accuracies beside the paper's");
  ToyArguments toy;
  toy_table->add_option("--seeds", toy.seeds, "runs of each configuration")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  toy_table->add_option("--variance", toy.variance, "of each cluster, per dimension")
      ->check(CLI::Range(1e-6, 1e3))
      ->capture_default_str();
  toy_table
      ->add_option("--recon-weight", toy.recon_weight, "weight c of the reconstruction term, in both halves")
      ->check(CLI::Range(1e-6, 1e3));
  toy_table->callback([&] { verb = [&] { return reproduce_toy(toy, options); }; });
  reproduce->add_subcommand("theory", "the statements that can be checked numerically, expected beside found")
      ->callback([&] { verb = [&] { return reproduce_theory(options); }; });

  CLI::App* main_job = reproduce->add_subcommand(
      "main", "the toy table and a short VAEGAN beside DAE-VAEGAN, in a few minutes");
  MainArguments m;
  main_job->add_option("settings", m.settings, "data=FOLDER: CIFAR-10's binary batches (or DAE_DATA)");
  main_job->add_option("--set", m.sets, "key=value for both recipes, e.g. train.steps=1000")
      ->allow_extra_args(false);
  main_job->add_option("--out", m.out, "folder of the two runs and the report")->capture_default_str();
  main_job->add_option("--seeds", m.seeds, "runs of each toy configuration")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  main_job->add_option("--images", m.images, "reconstructed of each kind to judge the pair")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  main_job->callback([&] { verb = [&] { return reproduce_main(m, options); }; });

  CLI::App* bench =
      app.add_subcommand("bench", "time training steps and ops against the machine's own ceilings");
  BenchArguments b;
  bench->add_option("--filter", b.filter,
                    "only rows whose \"op shape variant\" matches this regular expression");
  bench->add_option("--seconds", b.seconds, "for each row")
      ->check(CLI::Range(0.001, 3600.0))
      ->capture_default_str();
  bench->add_flag("--markdown", b.markdown, "tables as Markdown");
  bench->callback([&] {
    if (!verb) verb = [&] { return run_bench(b, options); };
  });
  CLI::App* compare = bench->add_subcommand("compare", "two results side by side");
  compare->add_option("A", b.first, "a file written with --json")->required();
  compare->add_option("B", b.second, "another")->required();
  compare->callback([&] { verb = [&] { return compare_bench(b, options); }; });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help
    std::fprintf(stderr, "dae: usage: %s; see dae --help\n", one_line(e.what()).c_str());
    return int(Fault::usage);
  }
  options.device = device_of(device);
  if (options.threads > 0) omp_set_num_threads(options.threads);
  return verb();
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file over the size limit is an error of write(), not the end
  try {
    return run(argc, argv);
  } catch (const Error& e) {
    std::fprintf(stderr, "dae: %s\n", one_line(e.what()).c_str());
    return int(e.fault);
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "dae: memory: expected enough for the model and its batch, found none left\n");
  } catch (const std::exception& e) {
    std::fprintf(stderr, "dae: internal error: %s\n", one_line(e.what()).c_str());
  }
  return int(Fault::internal);
}
