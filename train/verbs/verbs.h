// The verbs of the program, independent of its command line. Each function returns the exit code. Errors are
// exceptions (kernels/device/error.h); main() turns them into one line and an exit code.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "train/paper/paper.h"
#include "train/recipe/recipe.h"
#include "train/run/options.h"

namespace dae {

struct TrainArguments {
  std::string recipe;  // a file or the name of a shipped recipe; empty: the recipe of the run to resume
  std::vector<std::string> sets;  // "a.b=c"
  std::string out;                // run folder
  std::string init;               // weights to start from: a file of any format, RUN or RUN@STEP
  bool resume = false;
  int stage = 1;
  std::string from;  // RUN or RUN@STEP: the stage-1 checkpoint that stage 2 branches from
};
// Returns the recipe with --set, --seed and --device applied.
Recipe recipe_of(const TrainArguments& arguments, const Options& options);
// Trains; the exit code is 0, or 128 + the signal that was caught.
int train(const TrainArguments& arguments, const Options& options);
// Prints what the training would take, and trains nothing.
int plan(const TrainArguments& arguments, const Options& options);
// Prints the recipes that are part of the program.
int list_recipes(const Options& options);

// Prints what this machine has and runs a self-test. Returns 1 if the test fails.
int doctor(const Options& options);

struct PictureArguments {
  std::string run;                // RUN or RUN@STEP
  std::vector<std::string> sets;  // "a.b=c", e.g. where the data are now
  int64_t count = 64;             // images
  // .png (a grid), .npz (arr_0, uint8, NHWC) or a folder for PNG files; empty: a grid in the run folder
  std::string out;
  bool raw = false;  // the run's weights, not their moving average
};
// Draws images from a trained run and writes them.
int sample(const PictureArguments& arguments, const Options& options);
// Writes images of the data and their reconstructions.
int reconstruct(const PictureArguments& arguments, const Options& options);

struct ConvertArguments {
  std::string in, out;                // input: safetensors, npz or PyTorch; output: safetensors
  std::vector<std::string> only;      // beginnings of names; empty: every weight
  std::vector<std::string> prefixes;  // "old=new"
  std::string dtype;                  // type of the floating-point tensors; empty: unchanged
  std::string model;                  // recipe of a model whose names and shapes to compare; empty: none
  std::vector<std::string> sets;      // "a.b=c", for the model
  int stage = 1;                      // of the model
};
// Returns 1 if the weights do not fit the model.
int convert_weights(const ConvertArguments& arguments, const Options& options);

struct ForwardArguments {
  std::string recipe;
  std::vector<std::string> sets;       // "a.b=c"
  std::string weights, input, output;  // weights and input: of any format; output: safetensors or .npz
  int stage = 1;
};
// Runs a model's networks on the tensors of a file and writes their outputs.
int forward(const ForwardArguments& arguments, const Options& options);

struct InspectArguments {
  std::string file, other;  // RUN, RUN@STEP or a file of any format; other: what `compare` compares with
  double tolerance = 1e-5;  // compare: the largest relative error, ||a - b|| / ||b||
};
// Prints type, shape and statistics of every tensor of a file.
int inspect_file(const InspectArguments& arguments, const Options& options);
// Returns 1 if an error is over the tolerance, or names or shapes differ.
int inspect_compare(const InspectArguments& arguments, const Options& options);

struct LipschitzArguments {
  std::string run;                // RUN or RUN@STEP
  std::vector<std::string> sets;  // "a.b=c"
  int64_t pairs = 10000;
  std::string weights;  // LPIPS weights; empty: L2 alone
  bool rms = false;     // divide by the number of values: root of the mean square
  bool raw = false;     // the run's weights, not their moving average
};
// Prints how much encoder and decoder of a run stretch distances (lipschitz.h).
int inspect_lipschitz(const LipschitzArguments& arguments, const Options& options);

struct LatentArguments {
  std::vector<std::string> of;    // runs, RUN@STEP, or files with `latents` and maybe `labels`
  std::vector<std::string> sets;  // "a.b=c", for the runs
  int64_t count = 10000;          // examples
  int64_t neighbours = 5;         // number of voters, nearest by Euclidean distance
  bool features = false;          // the features that a probe classifies, not the latent
  bool raw = false;               // the runs' weights, not their moving average
  std::string out;                // .html: a page with the spectra
};
// Prints statistics of latents side by side (latent.h).
int inspect_latent(const LatentArguments& arguments, const Options& options);

struct CompareArguments {
  std::string a, b;               // recipes: files or names of shipped recipes
  std::vector<std::string> sets;  // "a.b=c", for both
  std::vector<std::string> sets_a, sets_b;
  std::string out;        // folder for the runs and the report
  int64_t seeds = 3;      // pairs
  int64_t images = 2000;  // held-out images that each run reconstructs
};
// Trains both recipes with the same steps and seeds and prints confidence intervals of their paired
// differences.
int compare(const CompareArguments& arguments, const Options& options);

struct EvalArguments {
  std::string metric;  // fid, sfid, is, kid, precision-recall, psnr, ssim, lpips
  // Samples and reference: images, saved statistics or a run. b is empty where no reference is needed.
  std::string a, b;
  std::string weights;
  std::string protocol = "torch-fidelity";
  std::string layer = "2048";  // the layer of Inception's features
  int64_t count = 0;           // first images of each set, or samples to draw from a run; 0: all
  std::optional<int64_t> reference_count = {};  // the count of b, if it is another
  std::string save_stats;                       // .npz to write the statistics of a into
  bool reconstructions = false;  // a: a run's reconstructions of its data, not samples; b empty: that data
  bool resize = false;           // pairs: resize the image of a to the size of its partner
  int64_t subsets = 100, subset_size = 1000;  // for kid
  bool raw = false;                           // the runs' weights, not their moving average
  std::vector<std::string> sets;              // "a.b=c", for the recipes of runs
};
// Prints one metric of a set of images, or of pairs.
int evaluate(const EvalArguments& arguments, const Options& options);

// Defined in bench/, which may include any part; declared here so that the command line can call them.
struct BenchArguments {
  std::string filter;         // regular expression over "op shape variant"
  bool list = false;          // print the names of the rows, time nothing
  double seconds = 0.5;       // seconds per row
  bool markdown = false;      // print tables as Markdown
  std::string save;           // file for the result as JSON, besides what is printed
  std::string first, second;  // compare: files written with --json
};
// Times steps and ops.
int run_bench(const BenchArguments& arguments, const Options& options);
// Prints the ratio first / second of each row.
int compare_bench(const BenchArguments& arguments, const Options& options);

}  // namespace dae
