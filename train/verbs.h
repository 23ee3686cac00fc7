// The verbs of the program, free of its command line. Errors are exceptions (kernels/error.h); main() turns
// them into one line and an exit code.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "train/recipe.h"

struct Options {  // before or after any verb
  Device device = Device::cpu;
  int threads = 0;  // 0: all
  std::optional<uint64_t> seed;
  bool json = false;  // one JSON object on stdout; everything that is not a result goes to stderr
  bool quiet = false;
  bool verbose = false;
};

struct TrainArguments {
  std::string recipe;             // a file or the name of a shipped recipe; empty: that of the run to resume
  std::vector<std::string> sets;  // "a.b=c"
  std::string out;                // run folder
  std::string init;               // weights to start from: a file of any format, RUN or RUN@STEP
  bool resume = false;
  int stage = 1;
  std::string from;  // RUN or RUN@STEP: the stage-1 checkpoint that stage 2 branches from
};
Recipe recipe_of(const TrainArguments& arguments, const Options& options);  // with --set, --seed, --device
int train(const TrainArguments& arguments, const Options& options);  // the exit code: 128 + a signal caught
int plan(const TrainArguments& arguments, const Options& options);   // what it would take; trains nothing
int list_recipes(const Options& options);                            // those that are part of the program

int doctor(const Options& options);  // what this machine has, and a self-test: 1 if it fails

struct PictureArguments {
  std::string run;                // RUN or RUN@STEP
  std::vector<std::string> sets;  // "a.b=c", e.g. where the data lie now
  int64_t count = 64;             // images
  // .png (a grid), .npz (arr_0, uint8, NHWC) or a folder of PNG files; empty: a grid inside the run folder
  std::string out;
  bool raw = false;  // the run's weights, not their moving average
};
int sample(const PictureArguments& arguments, const Options& options);
int reconstruct(const PictureArguments& arguments, const Options& options);

struct ConvertArguments {
  std::string in, out;                // safetensors, npz or PyTorch's; safetensors
  std::vector<std::string> only;      // beginnings of names; none: every weight
  std::vector<std::string> prefixes;  // "old=new"
  std::string dtype;                  // of the floating-point tensors; empty: as they are
  std::string model;                  // recipe of the model to compare names and shapes with, or empty
  std::vector<std::string> sets;      // "a.b=c", for the model
  int stage = 1;                      // likewise
};
int convert_weights(const ConvertArguments& arguments, const Options& options);  // 1: does not fit the model

struct ForwardArguments {
  std::string recipe;
  std::vector<std::string> sets;       // "a.b=c"
  std::string weights, input, output;  // of any format; likewise; safetensors or .npz
  int stage = 1;
};
int forward(const ForwardArguments& arguments, const Options& options);

struct InspectArguments {
  std::string file, other;  // RUN, RUN@STEP or a file of any format; compare: the file to compare with
  double tolerance = 1e-5;  // compare: the largest relative error, ||a - b|| / ||b||
};
int inspect_file(const InspectArguments& arguments, const Options& options);
int inspect_compare(const InspectArguments& arguments, const Options& options);  // 1: over the tolerance

struct LipschitzArguments {
  std::string run;                // RUN or RUN@STEP
  std::vector<std::string> sets;  // "a.b=c"
  int64_t pairs = 10000;
  std::string weights;  // LPIPS; empty: L2 alone
  bool rms = false;     // distances of a value in place of those of the whole
  bool raw = false;     // the run's weights, not their moving average
};
int inspect_lipschitz(const LipschitzArguments& arguments, const Options& options);

struct LatentArguments {
  std::vector<std::string> of;    // RUN, RUN@STEP or a file with `latents` and maybe `labels`
  std::vector<std::string> sets;  // "a.b=c", for the runs
  int64_t count = 10000;          // examples
  int64_t neighbours = 5;         // that vote, by Euclidean distance
  bool features = false;          // what a probe judges, in place of the latent
  bool raw = false;               // the runs' weights, not their moving average
  std::string out;                // .html: a page with the spectra
};
int inspect_latent(const LatentArguments& arguments, const Options& options);

struct ToyArguments {
  int64_t seeds = 10;
  double variance = 0.025;                  // of each cluster, per dimension
  std::optional<double> recon_weight = {};  // weight of the reconstruction term, in both halves of the table
};
int reproduce_toy(const ToyArguments& arguments, const Options& options);  // the paper's table, section 6.1
int reproduce_theory(const Options& options);  // its statements on linear and Gaussian models; 0 if all hold

struct MainArguments {
  std::vector<std::string> settings;  // "data=FOLDER" with CIFAR-10; without it DAE_DATA, or built-in images
  std::vector<std::string> sets;      // "a.b=c", for both recipes of the pair
  std::string out = "runs/main";
  bool force = false;      // begin anew where runs lie already; they are put aside
  int64_t seeds = 10;      // of the toy table
  int64_t images = 10000;  // reconstructed of each kind, held out and of training, to judge the pair
};
// Toy table, then a short VAEGAN and DAE-VAEGAN.
int reproduce_main(const MainArguments& arguments, const Options& options);

struct Cifar10Arguments {
  std::vector<std::string> settings;           // "data=FOLDER" with CIFAR-10, as of reproduce main
  std::string budget = "minutes";              // or "paper": what the recipes say
  std::string weights;                         // of Inception; without them no FID and no Inception Score
  std::string protocol = "gan-metrics";        // as of eval
  std::string encoder;                         // a SimCLR run or its weights, in place of one trained here
  std::vector<std::string> sets, sets_simclr;  // "a.b=c", for the four rows, for SimCLR
  std::string out = "runs/cifar10";
  int64_t seeds = 1;
  std::optional<int64_t> images = {};  // judged of each row, and of the reference
  bool markdown = false;
};
// The paper's CIFAR-10 table. A row that is finished is not trained again.
int reproduce_cifar10(const Cifar10Arguments& arguments, const Options& options);

struct CompareArguments {
  std::string a, b;               // recipes: files or shipped names
  std::vector<std::string> sets;  // "a.b=c", for both
  std::vector<std::string> sets_a, sets_b;
  std::string out;        // folder of the runs and the report
  int64_t seeds = 3;      // pairs
  int64_t images = 2000;  // held out, reconstructed by each run
};
// Both recipes for the same steps and seeds, and confidence intervals of their paired differences.
int compare(const CompareArguments& arguments, const Options& options);

struct EvalArguments {
  std::string metric;  // fid, sfid, is, kid, precision-recall, psnr, ssim, lpips
  std::string a, b;  // samples and reference: images, saved statistics or a run; b empty where none is needed
  std::string weights;
  std::string protocol = "torch-fidelity";
  std::string layer = "2048";                   // of Inception's features
  int64_t count = 0;                            // of each set, its first ones; samples drawn of a run; 0: all
  std::optional<int64_t> reference_count = {};  // of b, if another
  std::string save_stats;                       // .npz with the statistics of a
  bool reconstructions = false;                 // of a run's data, in place of samples; b: that data
  bool resize = false;                          // of pairs: a's image to the size of b's
  int64_t subsets = 100, subset_size = 1000;    // of kid
  bool raw = false;                             // the runs' weights, not their moving average
  std::vector<std::string> sets;                // "a.b=c", for the recipes of runs
};
int evaluate(const EvalArguments& arguments, const Options& options);

// Defined in bench/, which may include anything; here so that the command line can call them.
struct BenchArguments {
  std::string filter;         // a regular expression over "op shape variant"
  bool list = false;          // the rows' names, untimed
  double seconds = 0.5;       // a row
  bool markdown = false;      // tables as Markdown
  std::string save;           // a file for the result as JSON, beside what is printed
  std::string first, second;  // compare: files written with --json
};
int run_bench(const BenchArguments& arguments, const Options& options);      // times steps and ops
int compare_bench(const BenchArguments& arguments, const Options& options);  // first / second, row by row
