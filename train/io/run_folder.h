// The names in a run folder: its recipe, and its checkpoints by their steps. RUN@STEP names one of them.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace dae {

// Returns whether the folder holds a recipe. A run writes its recipe once it can be resumed.
bool has_run(const std::string& folder);
// Returns whether the text names a run: RUN or RUN@STEP.
bool is_run(const std::string& run_at_step);
std::filesystem::path checkpoint_path(const std::string& run, int64_t step);
std::vector<int64_t> checkpoint_steps(const std::string& run);  // returns them ascending
// Returns the checkpoint that RUN@STEP names, or the last one of RUN. Throws Fault::data if there is none.
std::filesystem::path find_checkpoint(const std::string& run_at_step);

// Returns the path of a weight file: a file itself, or the checkpoint that RUN or RUN@STEP names.
std::string weights_file(const std::string& file_or_run);

}  // namespace dae
