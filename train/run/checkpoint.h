// A checkpoint is one safetensors file, RUN/checkpoints/step-00001000.safetensors. It holds
//   weights and buffers   under their plain names with PyTorch's shapes, so that it is also a weight file
//   optimizer state       "optimizer.<name>.m.<param>", ".v.<param>" and ".ema.<param>"
//   metadata              the rest of the state
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "train/io/run_folder.h"
#include "train/learners/learner.h"

namespace dae {

// The state of a run besides its tensors. Random numbers are functions of (seed, step), so the step is their
// only state.
struct Progress {
  int64_t step = 0;        // steps done
  int stage = 1;           // stage of the DAE schedule
  int64_t stage_two = -1;  // the step at which stage 2 began; -1 in stage 1
  int64_t batches = 0;     // batches taken from the data
  int64_t noise_rows = 0;  // rows taken from recorded noise
  std::string recipe;      // the resolved recipe, as TOML
};

// Writes a checkpoint, whole or not at all.
void save_checkpoint(const std::filesystem::path& path, Learner& learner, const Progress& progress);
Progress read_progress(const std::filesystem::path& path);  // reads the metadata only
// Restores everything that save_checkpoint() wrote. The learner must be made for the checkpoint's stage.
// Throws Fault::data, with the name of the first tensor that is missing, unexpected or of another shape.
void load_checkpoint(const std::filesystem::path& path, Learner& learner);
// Fills `state` with the weights alone (--init), from a file of any format (weights.h) or a run. Throws the
// same errors.
void load_weights(const std::string& file_or_run, const std::vector<Param*>& state);

// Returns a scalar that is 0, or NaN where a value of `params` is not finite. It is computed on the
// parameters' device and stays there.
Tensor zero_if_finite(const std::vector<Param*>& params);

// Removes checkpoints except the last train.keep ones that lie on the schedule, the newest one, and the one
// of the switch. With train.keep = 0 it removes none.
void prune_checkpoints(const std::string& run, const Recipe& recipe);

}  // namespace dae
