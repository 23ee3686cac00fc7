// Recipes that are trained to be compared, one run folder each. This is what `reproduce main`, `reproduce
// cifar10` and `compare` have in common.
#pragma once
#include <string>
#include <vector>

#include "train/report/run_report.h"
#include "train/run/options.h"

namespace dae {

struct Contender {
  std::string name, run;  // name in tables; run folder
  Recipe recipe;
};

// Throws Fault::usage if a folder holds a run with other settings, so that hours of work are not overwritten.
// next: the advice in the message.
void check_same_settings(const char* verb, const std::vector<Contender>& contenders,
                         const char* next = "choose another --out");
// Renames the folders of existing runs to RUN.1 and so on, so that the runs begin anew and nothing is lost.
// Prints what it renamed.
void put_aside(const std::vector<Contender>& contenders, const Options& options);
bool finished(const Contender& contender);  // returns whether it is trained to its last step

// Returns 0, or 128 + the number of the signal that was caught, and then prints a line about it. A
// SignalWatch (signals.h) must live meanwhile.
int stopped(const Options& options);
// Trains the contenders one after the other, each from its last checkpoint, and skips those that are
// finished. Returns stopped(); after a signal the same call continues the work.
int train_all(const std::vector<Contender>& contenders, const Options& options);

// Returns the settings for the training data: CIFAR-10 if data=FOLDER or the variable DAE_DATA names its
// folder, otherwise procedural images. verb: the name in messages. Throws Fault::usage for another setting,
// and Fault::data if the folder has no CIFAR-10.
std::vector<std::string> find_data(const char* verb, const std::vector<std::string>& settings);

// Adds the pictures of the runs side by side.
void add_films(Report& page, const std::vector<RunRecord>& records);
// Adds the cost of each stage, and the recipes.
void add_costs(Report& page, const std::vector<RunRecord>& records);
// Adds curves with their explanations, pictures, costs and recipes of all runs.
void add_runs(Report& page, const std::vector<RunRecord>& records);

}  // namespace dae
