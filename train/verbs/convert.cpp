// `dae convert` writes weights of any format as safetensors, renames them, and compares them with a model's
// state.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "data/files/file.h"
#include "train/io/weights.h"
#include "train/learners/registry.h"
#include "train/run/checkpoint.h"
#include "train/verbs/verbs.h"

namespace dae {

namespace {

bool floating(const TensorEntry& e) { return e.dtype[0] == 'F' || e.dtype == "BF16"; }

}  // namespace

int convert_weights(const ConvertArguments& arguments, const Options& options) {
  if (!arguments.out.ends_with(".safetensors"))
    fail(Fault::usage, "convert: expected an output named .safetensors, found {}", arguments.out);
  const TensorFile file(weights_file(arguments.in));
  prepare_output(arguments.out);
  std::vector<TensorEntry> entries = weight_entries(file, arguments.prefixes, arguments.only);
  if (entries.empty())
    fail(Fault::data, "convert: {}: expected tensors, found none; see dae inspect", arguments.in);
  std::vector<Tensor> converted;  // keeps the tensors alive until the file is written
  size_t bytes = 0;
  for (TensorEntry& e : entries) {
    if (!arguments.dtype.empty() && floating(e)) {
      const Dtype to = dtype_from(arguments.dtype);
      converted.push_back(tensor_of(arguments.in, e).to(to));
      const Tensor& t = converted.back();
      e.dtype = file_name(to), e.bytes = t.raw(), e.size = size_t(t.bytes());
    }
    bytes += e.size;
  }
  Fit found;
  if (!arguments.model.empty()) {
    const auto learner = make_learner(load_recipe(arguments.model, arguments.sets), arguments.stage);
    const std::vector<Param*> state = learner->state();
    found = fit(entries, {state.begin(), state.end()});
  }
  save_safetensors(arguments.out, entries, {{"format", "pt"}});

  if (options.json) {
    nlohmann::ordered_json out{{"file", arguments.out},
                               {"format", file.format()},
                               {"tensors", entries.size()},
                               {"bytes", bytes},
                               {"left_out", file.entries().size() - entries.size()}};
    if (!arguments.model.empty())
      out.update({{"fits", found.good()},
                  {"missing", found.missing},
                  {"unexpected", found.unexpected},
                  {"misshaped", found.misshaped}});
    fmt::print("{}\n", out.dump());
  } else {
    fmt::print("{}: {} tensors, {} bytes", arguments.out, entries.size(), bytes);
    if (const size_t left = file.entries().size() - entries.size())
      fmt::print("; {} tensors that are no weights{} were left out", left,
                 arguments.only.empty() ? "" : " or not asked for");
    fmt::print("\n");
    const auto list = [](const char* what, const std::vector<std::string>& names) {
      for (const std::string& name : names) fmt::print("{} {}\n", what, name);
    };
    list("missing   ", found.missing), list("unexpected", found.unexpected),
        list("misshaped ", found.misshaped);
    if (!arguments.model.empty())
      fmt::print("{} {}\n", found.good() ? "fits" : "does not fit", arguments.model);
  }
  return found.good() ? 0 : 1;
}

}  // namespace dae
