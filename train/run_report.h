// Runs as pages: what a run folder holds, read back, and the blocks of a report made of it.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "train/recipe.h"
#include "train/report.h"

// Cost of a stage, from timing.jsonl. Step time and nodes are medians over the logged stretches.
struct StageCost {
  int stage = 1;
  int64_t from = 0, to = 0;                // steps done when it began and when it ended, or so far
  double step_seconds = 0;                 // of the step alone
  double wall_seconds = 0, data_wait = 0;  // of everything: waiting for data, pictures, checkpoints
  double peak_bytes = 0;                   // the most that tensors held during a step
  double backward_nodes = 0;               // of the tape, run by a step
  double trainable = 0;                    // parameters that a step updates
};

struct RunRecord {
  std::string name, folder;
  Recipe recipe;
  int64_t step = 0;             // the last one logged
  std::vector<Series> metrics;  // named as in metrics.jsonl, x in steps
  std::vector<Series> timing;   // the same of timing.jsonl
  std::vector<StageCost> stages;
  std::vector<Film> films;  // samples, reconstructions
};

// Reads a folder that `dae train` wrote, finished or not. name: in legends; empty: the folder's name. Lines
// of a log that are no JSON are passed over. Fault::data or Fault::usage if there is no recipe.
RunRecord read_run(const std::string& folder, const std::string& name = "");

// One chart a metric, the runs overlaid, stage 2 marked.
std::vector<Chart> metric_charts(const std::vector<RunRecord>& runs);
// What each metric of the runs means, in the order of the charts.
Table glossary(const std::vector<RunRecord>& runs);
// A sentence where a discriminator has won: over the last tenth of the run loss_d lies below 0.05 on average.
// Empty otherwise.
std::string warning(const RunRecord& run);
double last_tenth(const Series& series);  // the mean of its last tenth: a single step says little
// Step time, images/s, memory, backward and trained parameters of each stage of each run.
Table stage_table(const std::vector<RunRecord>& runs);

// RUN/report.html: curves, pictures, schedule and cost by stage, configuration, data, environment. Written
// whole or not at all.
void write_run_report(const std::string& run);
