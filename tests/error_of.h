// What a reader says of a file that it refuses.
#pragma once
#include <doctest/doctest.h>

#include <string>

#include "kernels/error.h"

// The message of the Fault::data that f throws; empty: none.
template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    CHECK(e.fault == Fault::data);
    return e.what();
  }
  return "";
}
