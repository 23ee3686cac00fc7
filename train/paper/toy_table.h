// The paper's toy table (section 6.1), made again: as text, as JSON and as a table of a report.
#pragma once
#include <functional>
#include <nlohmann/json.hpp>

#include "train/paper/confidence.h"
#include "train/paper/paper.h"
#include "train/report/chart.h"

namespace dae {

struct ToyTable {
  struct Summary {
    double mean = 0, std = 0;  // percent; sample standard deviation, NaN for one run
  };
  struct Row {  // a row of the paper's table
    std::string name, config;
    double weight = 0;
    Summary here, paper;
  };
  struct Extra {  // a configuration at a weight
    std::string config;
    double weight = 0;
    Summary latent, reconstruction;
  };
  // A statement of the paper: one row lies above another. Differences are in percentage points.
  struct Claim {
    std::string name, lower, higher;
    Paired here;       // the difference here, paired by seed
    double paper = 0;  // the difference of the paper's means
  };
  std::vector<Row> rows;
  std::vector<Claim> claims;
  std::vector<Extra> extra;
  std::vector<Scatter> latents;    // of the first seed, one per row
  double variance = 0, bayes = 0;  // bayes: accuracy of the Bayes classifier, percent
  int64_t seeds = 0;
  uint64_t seed = 0;
  std::string weights_note, variance_note;  // sentences for the report
};

// Trains the toy study and returns the table. stopped() is called between runs; once it returns true, the
// table is incomplete. Throws Fault::usage for a variance or a weight that is NaN.
ToyTable make_toy_table(const ToyArguments& arguments, const Options& options,
                        const std::function<bool()>& stopped = {});
nlohmann::ordered_json to_json(const ToyTable& table);
// Prints the table on stdout.
void print(const ToyTable& table);
std::string text(const ToyTable::Summary& summary);  // returns "97.4 (0.5)"
std::string in_words(const ToyTable::Claim& claim);  // returns a sentence with interval and verdict

}  // namespace dae
