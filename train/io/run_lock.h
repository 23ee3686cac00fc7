// A lock that lets one process at a time write to a run folder or to the folder of a job. A process that only
// reads needs no lock.
#pragma once
#include <string>

namespace dae {

// Makes the folder if it is missing and locks it by flock() on its file `lock`. The lock ends with the
// object, or with the process, however that ends. Throws Fault::usage, with the holder's process id and
// machine, if another process holds the lock.
class RunLock {
 public:
  explicit RunLock(const std::string& folder);
  ~RunLock();
  RunLock(const RunLock&) = delete;

 private:
  int file_;
};

}  // namespace dae
