#include "train/io/run_lock.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "data/files/file.h"
#include "kernels/device/error.h"

namespace dae {

RunLock::RunLock(const std::string& folder) {
  make_folder(folder);
  const std::string path = folder + "/lock";
  file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file_ < 0)
    fail(Fault::data, "{}: expected a folder that can be written, found: {}; choose another", folder,
         std::strerror(errno));
  // On a file system without locks the run goes on without one.
  if (::flock(file_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    char holder[256] = {};
    if (::read(file_, holder, sizeof holder - 1) <= 0) std::strcpy(holder, "another process");
    ::close(file_);
    fail(Fault::usage,
         "{}: expected a run that no other process trains, found {} at it; wait for it, or stop it", folder,
         holder);
  }
  char host[128] = {};
  ::gethostname(host, sizeof host - 1);
  const std::string holder = fmt::format("process {} on {}", ::getpid(), host);
  // The text goes into the message above, in another process.
  if (::ftruncate(file_, 0) == 0 && ::write(file_, holder.data(), holder.size()) < 0) {}
}

RunLock::~RunLock() { ::close(file_); }

}  // namespace dae
