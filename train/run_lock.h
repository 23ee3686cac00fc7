// One process at a time in a run folder, or in the folder of a job. Who only reads needs no lock.
#pragma once
#include <string>

// Makes the folder if it is missing and holds it, by flock() on its file `lock`, until the object or the
// process is gone, however it ends. Fault::usage, with the holder's id and machine, if another process does.
class RunLock {
 public:
  explicit RunLock(const std::string& folder);
  ~RunLock();
  RunLock(const RunLock&) = delete;

 private:
  int file_;
};
