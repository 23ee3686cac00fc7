// Recipes trained to be judged side by side, one run folder each: what `reproduce main`, `reproduce cifar10`
// and `compare` have in common.
#pragma once
#include <string>
#include <vector>

#include "train/run_report.h"
#include "train/verbs.h"

struct Contender {
  std::string name, run;  // in tables; its run folder
  Recipe recipe;
};

// Fault::usage where a folder holds a run of other settings: hours of work are not overwritten. next: what
// the message advises.
void check_same_settings(const char* verb, const std::vector<Contender>& contenders,
                         const char* next = "choose another --out");
// Gives the folders of runs other names, RUN.1 and so on, so that they begin anew and nothing is lost. Tells.
void put_aside(const std::vector<Contender>& contenders, const Options& options);
bool finished(const Contender& contender);  // trained to its last step

// 0, or 128 + the signal caught, which it tells. Watch signals (signals.h) meanwhile.
int stopped(const Options& options);
// Trains one after the other, each from its last checkpoint, those that are finished not at all. Returns
// stopped(); the same call goes on from there.
int train_all(const std::vector<Contender>& contenders, const Options& options);

// A --set value in TOML, so that no path is read as something else.
std::string toml_string(const std::string& path);
// Settings for the training data: CIFAR-10 if it is named, by data=FOLDER or DAE_DATA, otherwise built-in
// images. verb: in messages.
std::vector<std::string> find_data(const char* verb, const std::vector<std::string>& settings);

void add_films(Report& page, const std::vector<RunRecord>& records);  // pictures side by side
void add_costs(Report& page, const std::vector<RunRecord>& records);  // of each stage; and the recipes
// All of them: curves overlaid and explained, pictures, costs, recipes.
void add_runs(Report& page, const std::vector<RunRecord>& records);
