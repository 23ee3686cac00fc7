// A temporary folder of a test. Its destructor removes it with its content.
#pragma once
#include <unistd.h>

#include <filesystem>
#include <string>

namespace dae {

struct Folder {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("dae-test-" + std::to_string(getpid()));
  Folder() { std::filesystem::create_directories(path); }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string operator/(const std::string& name) const { return (path / name).string(); }
};

}  // namespace dae
