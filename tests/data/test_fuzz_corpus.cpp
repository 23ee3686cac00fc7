// Runs the readers over the corpus of the fuzzers (tests/fuzz): each file is read or refused.
#include <doctest/doctest.h>

#include <filesystem>

#include "tests/fuzz/readers.h"

namespace dae {

TEST_CASE("the corpus of the fuzzers") {
  const std::filesystem::path corpus = DAE_SOURCE "/tests/fuzz/corpus";
  for (const auto& [folder, read] : {std::pair("safetensors", &read_safetensors),
                                     std::pair("tensors", &read_tensors), std::pair("image", &read_image)}) {
    int files = 0;
    for (const auto& file : std::filesystem::directory_iterator(corpus / folder)) {
      INFO(file.path().string());
      CHECK_NOTHROW(read(read_file(file.path().string())));
      ++files;
    }
    CHECK(files > 0);
  }
}

}  // namespace dae
