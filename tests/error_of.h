// What is said of something that is refused.
#pragma once
#include <doctest/doctest.h>

#include <string>

#include "kernels/error.h"

// The message of the error that f throws; empty: none.
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
