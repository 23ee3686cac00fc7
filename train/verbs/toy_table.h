// The paper's toy table (section 6.1) made again: as text, as JSON and as a table of a report.
#pragma once
#include <functional>
#include <nlohmann/json.hpp>

#include "train/chart.h"
#include "train/confidence.h"
#include "train/verbs.h"

struct ToyTable {
  struct Summary {
    double mean = 0, std = 0;  // percent; std of a sample, 0 for one run
  };
  struct Row {  // of the paper
    std::string name, config;
    double weight = 0;
    Summary here, paper;
  };
  struct Extra {  // every configuration at every weight
    std::string config;
    double weight = 0;
    Summary latent, reconstruction;
  };
  struct Claim {  // of the paper: one row lies above another, here by seed, in points of percent
    std::string name, lower, higher;
    Paired here;
    double paper = 0;  // the difference of its means
  };
  std::vector<Row> rows;
  std::vector<Claim> claims;
  std::vector<Extra> extra;
  std::vector<Scatter> latents;    // of the first seed, one for each row
  double variance = 0, bayes = 0;  // bayes: percent
  int64_t seeds = 0;
  uint64_t seed = 0;
  std::string weights_note, variance_note;  // sentences
};

// stopped: asked between runs; once it is true the table is incomplete.
ToyTable make_toy_table(const ToyArguments& arguments, const Options& options,
                        const std::function<bool()>& stopped = {});
nlohmann::ordered_json to_json(const ToyTable& table);
void print(const ToyTable& table);
std::string text(const ToyTable::Summary& summary);  // "97.4 (0.5)"
std::string in_words(const ToyTable::Claim& claim);  // a sentence with the interval and a verdict
