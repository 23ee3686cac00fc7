// The message of an error.
#pragma once
#include <doctest/doctest.h>

#include <string>

#include "kernels/device/error.h"

namespace dae {

// Returns the message of the error that f throws; empty if it throws none.
template <class F>
std::string error_of(F&& f, Fault fault = Fault::data) {
  try {
    f();
  } catch (const Error& e) {
    CHECK(e.fault == fault);
    return e.what();
  }
  return "";
}

}  // namespace dae
