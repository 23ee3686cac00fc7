// Runs every row of the op table (rows.h). Limits, fixed before any error was seen:
//   gradients against central differences, f64   1e-6; the differences themselves have errors of about 1e-9
//   f32 against f64                              2e-5 forward, 1e-4 backward: 24-bit sums of up to 1000 terms
//   op against composition, f64                  1e-10
#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <regex>
#include <set>

#include "kernels/cpu/parallel.h"
#include "tests/rows/rows.h"

namespace dae {

namespace {

Outcome run(const Row& row, const Row::Function& f, Dtype dtype) { return run_row(row, f, dtype, dtype); }

// Returns the slope of sum(y w) as input i moves along `direction`, by central differences.
double slope(const Row& row, size_t i, const std::vector<double>& direction) {
  const double h = 1e-6;
  double side[2];
  for (int k : {0, 1}) {
    std::vector<Tensor> x = inputs_of(row, Dtype::f64, Dtype::f64);
    for (size_t e = 0; e < direction.size(); ++e) x[i].data<double>()[e] += (k ? h : -h) * direction[e];
    const Tensor y = row.run(x);
    side[k] = sum(mul(y, uniform(y.shape(), -1, 1, Key{13, 0, 7}, y.dtype()))).item();
  }
  return (side[1] - side[0]) / (2 * h);
}

template <class F>
void each(F f) {
  poison_allocations(true);
  for (const Row& row : all_rows()) {
    const std::string name = row.op + ": " + row.label;
    CAPTURE(name);
    f(row);
  }
}

}  // namespace

TEST_CASE("gradients are those of central differences") {
  each([](const Row& row) {
    if (!row.gradient) return;
    const Outcome o = run(row, row.run, Dtype::f64);
    size_t k = 0;
    for (size_t i = 0; i < row.inputs.size(); ++i) {
      if (!row.inputs[i].grad) continue;
      REQUIRE(o.dx[k]);
      const auto dx = o.dx[k++].values();
      double difference = 0, size = 0;
      const size_t n = dx.size();
      for (uint64_t k = 0; k < std::min<uint64_t>(n, 30); ++k) {  // all elements, or 30 random ones
        const size_t e = n <= 30 ? k : random_bits(Key{17, 0, uint32_t(i)}, k) % n;
        std::vector<double> unit(n, 0.0);
        unit[e] = 1;
        const double numeric = slope(row, i, unit);
        difference += (numeric - dx[e]) * (numeric - dx[e]);
        size += numeric * numeric;
      }
      CAPTURE(i);
      CHECK(size > 0);
      CHECK(std::sqrt(difference) <= 1e-6 * std::max(std::sqrt(size), 1e-3));

      // Moves every element at once. The error of a sum of n terms of random sign grows like their norm.
      const auto direction = uniform({int64_t(n)}, -1, 1, Key{19, 0, uint32_t(i)}, Dtype::f64).values();
      double expected = 0, norm = 0;
      for (size_t e = 0; e < n; ++e) expected += dx[e] * direction[e], norm += dx[e] * dx[e];
      CHECK(std::fabs(slope(row, i, direction) - expected) <= 1e-6 * std::max(std::sqrt(norm), 1e-3));
    }
  });
}

TEST_CASE("a second run and any thread count give the same bits") {
  const int threads = thread_count();
  each([&](const Row& row) {
    for (Dtype dtype : {Dtype::f32, Dtype::f64}) {
      const Outcome first = run(row, row.run, dtype);
      for (int t : {threads, 1, 2, 3}) {
        set_thread_count(t);
        CAPTURE(t);
        CHECK(same_bits(run(row, row.run, dtype), first));
      }
      set_thread_count(threads);
    }
  });
}

TEST_CASE("f32 agrees with f64") {
  each([](const Row& row) {
    const Outcome a = run(row, row.run, Dtype::f32), b = run(row, row.run, Dtype::f64);
    CHECK(relative_error(a.y, b.y) < 2e-5);
    for (size_t i = 0; i < a.dx.size(); ++i) CHECK(relative_error(a.dx[i], b.dx[i]) < 1e-4);
  });
}

TEST_CASE("an op agrees with its composition of plain ops") {
  each([](const Row& row) {
    if (!row.plain) return;
    const Outcome a = run(row, row.run, Dtype::f64), b = run(row, row.plain, Dtype::f64);
    CHECK(relative_error(a.y, b.y) < 1e-10);
    for (size_t i = 0; i < a.dx.size(); ++i) CHECK(relative_error(a.dx[i], b.dx[i]) < 1e-10);
  });
}

TEST_CASE("every op of ops.h has a row, and every row an op") {
  std::ifstream file(DAE_SOURCE "/engine/ops.h");
  REQUIRE(file);
  std::set<std::string> ops, rows;
  const std::regex declaration(R"(^(?:Tensor|std::vector<Tensor>|NormalSample) (\w+)\()");
  std::smatch match;
  for (std::string line; std::getline(file, line);)
    if (std::regex_search(line, match, declaration)) ops.insert(match[1]);
  for (const Row& row : all_rows()) rows.insert(row.op);
  CHECK(ops.size() > 40);
  CHECK(ops == rows);
}

}  // namespace dae
