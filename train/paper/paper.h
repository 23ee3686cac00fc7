// What `dae reproduce` runs: the paper's statements and tables, and the main job. Each returns the exit code.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "train/run/options.h"

namespace dae {

struct ToyArguments {
  int64_t seeds = 10;
  double variance = 0.025;                  // of each cluster, per dimension
  std::optional<double> recon_weight = {};  // weight of the reconstruction term in both halves of the table
};
// Prints the paper's toy table (section 6.1).
int reproduce_toy(const ToyArguments& arguments, const Options& options);
// Prints the paper's statements on linear and Gaussian models, expected beside found. Returns 0 if all hold.
int reproduce_theory(const Options& options);

struct MainArguments {
  // "data=FOLDER" with CIFAR-10; without it DAE_DATA, or procedural images
  std::vector<std::string> settings;
  std::vector<std::string> sets;  // "a.b=c", for the recipes of all runs
  std::string out = "runs/main";
  bool force = false;      // begin anew and put existing runs aside
  int64_t seeds = 10;      // seeds of the toy table
  int64_t images = 10000;  // images that each run reconstructs, held out and of training
};
// Runs the theory checks, the toy table, VAE and DAE on pixels, and a short VAEGAN and DAE-VAEGAN.
int reproduce_main(const MainArguments& arguments, const Options& options);

struct Cifar10Arguments {
  std::vector<std::string> settings;           // "data=FOLDER" with CIFAR-10, as in MainArguments
  std::string budget = "minutes";              // "minutes", or "paper": the budget of the recipes
  std::string weights;                         // Inception weights; empty: no FID and no Inception Score
  std::string protocol = "gan-metrics";        // as in EvalArguments
  std::string encoder;                         // a SimCLR run or its weights; empty: one is trained here
  std::vector<std::string> sets, sets_simclr;  // "a.b=c", for the four rows; for SimCLR
  std::string out = "runs/cifar10";
  int64_t seeds = 1;
  std::optional<int64_t> images = {};  // images judged per row, and of the reference
  bool markdown = false;
};
// Makes the paper's CIFAR-10 table. A row that is finished is not trained again.
int reproduce_cifar10(const Cifar10Arguments& arguments, const Options& options);

}  // namespace dae
