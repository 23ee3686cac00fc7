// Checkpoints: one safetensors file each, RUN/checkpoints/step-00001000.safetensors. Weights under their
// plain names at PyTorch's shapes, so the file is also a weight file; beside them
// "optimizer.<name>.m.<param>",
// ".v." and ".ema."; the rest of the state in the metadata.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "train/experiment.h"

// What a run needs to go on besides tensors. Random numbers are functions of (seed, step), so the step is
// their state.
struct Progress {
  int64_t step = 0;        // done so far
  int stage = 1;           // of the DAE schedule
  int64_t stage_two = -1;  // the step at which stage 2 began
  int64_t batches = 0;     // taken from the data
  int64_t noise_rows = 0;  // taken from recorded noise
  std::string recipe;      // resolved, as TOML
};

bool has_run(const std::string& folder);      // it holds a recipe, which a run writes once it can be resumed
bool is_run(const std::string& run_at_step);  // RUN or RUN@STEP
std::filesystem::path checkpoint_path(const std::string& run, int64_t step);
std::vector<int64_t> checkpoint_steps(const std::string& run);  // ascending
// RUN (its last checkpoint) or RUN@STEP. Fault::data if there is none.
std::filesystem::path find_checkpoint(const std::string& run_at_step);

// Where weights lie: a file, or RUN or RUN@STEP, which stands for its checkpoint.
std::string weights_file(const std::string& file_or_run);

void save_checkpoint(const std::filesystem::path& path, Experiment& experiment, const Progress& progress);
Progress read_progress(const std::filesystem::path& path);  // the metadata alone
// Everything back. The experiment must have been made for the checkpoint's stage. Fault::data, naming the
// first tensor that is missing, unexpected or of another shape.
void load_checkpoint(const std::filesystem::path& path, Experiment& experiment);
// Weights only (--init), from a file of any format (weights.h) or a run: the same errors.
void load_weights(const std::string& file_or_run, const std::vector<Param*>& state);

// Zero, or NaN where a value is not finite: a scalar that is computed where they lie, and stays there.
Tensor zero_if_finite(const std::vector<Param*>& params);

// Keeps the last train.keep checkpoints that lie on the schedule, the newest, and that of the switch.
void prune_checkpoints(const std::string& run, const Recipe& recipe);
