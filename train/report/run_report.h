// Reads run folders back and makes pages of them.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "train/recipe/recipe.h"
#include "train/report/report.h"

namespace dae {

// The cost of a stage, read from timing.jsonl. Step time and nodes are medians over the logged lines.
struct StageCost {
  int stage = 1;
  int64_t from = 0, to = 0;                // steps done when the stage began and when it ended, or so far
  double step_seconds = 0;                 // seconds of a step alone
  double wall_seconds = 0, data_wait = 0;  // seconds of everything; seconds spent waiting for data
  double peak_bytes = 0;                   // the most bytes that tensors held during a step
  double backward_nodes = 0;               // nodes of the tape that backward runs in a step
  double trainable = 0;                    // number of parameters that a step updates
};

struct RunRecord {
  std::string name, folder;
  Recipe recipe;
  int64_t step = 0;             // the last step logged
  std::vector<Series> metrics;  // one per metric, named as in metrics.jsonl; x is the step
  std::vector<Series> timing;   // the same for timing.jsonl
  std::vector<StageCost> stages;
  std::vector<Film> films;  // samples, reconstructions
};

// Returns the record of a folder that `dae train` wrote, finished or not. name: the run's name in legends;
// empty: the folder's name. Lines of a log that are not JSON are skipped. Throws Fault::data or Fault::usage
// if there is no recipe.
RunRecord read_run(const std::string& folder, const std::string& name = "");

// Returns one chart per metric with the runs overlaid. The beginning of stage 2 is marked.
std::vector<Chart> metric_charts(const std::vector<RunRecord>& runs);
// Returns the meaning of each metric of the runs, in the order of the charts.
Table glossary(const std::vector<RunRecord>& runs);
// Returns a sentence if the discriminator of the run has won: over the last tenth of the run loss_d is below
// 0.05 on average. Empty otherwise.
std::string warning(const RunRecord& run);
// Returns the mean of the series' last tenth, which says more than a single step.
double last_tenth(const Series& series);
// Returns the table of step time, images/s, memory, backward nodes and trained parameters for each stage of
// each run.
Table stage_table(const std::vector<RunRecord>& runs);

// Writes RUN/report.html, whole or not at all: curves, pictures, schedule and cost by stage, configuration,
// data and environment.
void write_run_report(const std::string& run);

}  // namespace dae
