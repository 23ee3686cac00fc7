// Philox against the known answers of Random123, and the distributions of the draws built on it.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "data/sets/dataset.h"
#include "data/streams.h"
#include "engine/ops.h"

namespace dae {

static void known_answer(Bits4 counter, uint32_t k0, uint32_t k1, Bits4 expected) {
  const Bits4 found = philox4x32_10(counter, k0, k1);
  for (int i = 0; i < 4; ++i) CHECK(found.v[i] == expected.v[i]);
}

TEST_CASE("Philox4x32-10 gives the known answers") {
  const uint32_t f = 0xffffffffu;
  known_answer({{0, 0, 0, 0}}, 0, 0, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}});
  known_answer({{f, f, f, f}}, f, f, {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}});
  known_answer({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0,
               {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}});
}

// A new stream that is missing here gives a compiler warning; two streams with one number do not compile.
static const char* name(RandomStream stream) {
  switch (stream) {
    case kInitStep:
      return "initial weights";
    case kToyMapStep:
      return "toy map";
    case kToyDataStep:
      return "toy data";
    case kProceduralStep:
      return "procedural pictures";
    case kPlanStep:
      return "plan";
    case kCropStep:
      return "crops";
    case kSecondDiscriminatorStep:
      return "second discriminator";
    case kPairStep:
      return "pairs";
    case kProbeStep:
      return "probe";
    case kAugmentStep:
      return "augmentation";
    case kOrderStep:
      return "order";
    case kSecondDecoderStep:
      return "second decoder";
    case kFlipStep:
      return "flips";
    case kPictureStep:
      return "pictures";
  }
  return nullptr;
}

TEST_CASE("streams of random numbers: each its own, out of the steps' way, and named in one place alone") {
  static constexpr RandomStream all[] = {kInitStep,
                                         kToyMapStep,
                                         kToyDataStep,
                                         kProceduralStep,
                                         kPlanStep,
                                         kCropStep,
                                         kSecondDiscriminatorStep,
                                         kPairStep,
                                         kProbeStep,
                                         kAugmentStep,
                                         kOrderStep,
                                         kSecondDecoderStep,
                                         kFlipStep,
                                         kPictureStep};
  std::set<uint32_t> values, first;
  for (const RandomStream s : all) {
    INFO(std::string(name(s)));
    CHECK(values.insert(s).second);
    CHECK(first.insert(random_bits(Key{1, s, 0}, 0)).second);
    CHECK((s == kInitStep || s >= 0xD0000000u));
  }
  // No other file may invent a step: constants this large occur in streams.h only.
  const std::regex large("0x(D[0-9A-F]|FFFFFF)[0-9A-F]{1,6}u?\\b", std::regex::icase);
  for (const char* room : {"data", "engine", "models", "train"})
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(DAE_SOURCE "/" + std::string(room))) {
      const std::string file = entry.path().filename().string();
      // zip.cpp has such constants for zip64.
      if (!entry.is_regular_file() || file == "streams.h" || file == "zip.cpp") continue;
      std::ostringstream text;
      text << std::ifstream(entry.path()).rdbuf();
      const std::string content = text.str();
      std::smatch found;
      if (std::regex_search(content, found, large))
        CHECK_MESSAGE(false, entry.path().string(), ": ", found.str());
    }
}

TEST_CASE("procedural pictures are not the first initial weights") {
  const std::unique_ptr<Dataset> pictures = open_procedural(1, 8);
  for (uint32_t op = 0; op < 3; ++op) {
    bool same = true;
    for (int64_t i = 0; i < 16; ++i)
      same &= pictures->label(i) == int64_t(random_bits(Key{1, kInitStep, op}, uint64_t(i) * 32) % 4);
    CHECK_FALSE(same);
  }
}

TEST_CASE("normals have the moments of N(0, 1)") {
  const int n = 1000000;
  double m[5] = {};
  for (double z : normal(Shape{n}, Key{1, 2, 3}).values())
    for (int k = 1; k <= 4; ++k) m[k] += std::pow(z, k) / n;
  CHECK(std::abs(m[1]) < 0.005);  // five standard errors each
  CHECK(std::abs(m[2] - 1) < 0.00708);
  CHECK(std::abs(m[3]) < 0.0194);
  CHECK(std::abs(m[4] - 3) < 0.049);
}

TEST_CASE("an element has the same value whatever the size and type of the tensor") {
  const Key key{9, 8, 7};
  const auto large = normal(Shape{100003}, key).values(), small = normal(Shape{5, 7}, key).values();
  const auto wide = normal(Shape{35}, key, Dtype::f64).values();
  for (int i = 0; i < 35; ++i) CHECK((small[i] == large[i] && wide[i] == large[i]));
}

TEST_CASE("dropout keeps 1 - p, scaled; p = 0 is x; p outside [0, 1) fails") {
  const Key key{4, 5, 6};
  const Tensor x = Tensor::full(Shape{100000}, 1, Dtype::f64);
  double kept = 0;
  for (double v : dropout(x, 0.25, key).values()) {
    CHECK((v == 0 || v == 1 / 0.75));
    kept += v != 0;
  }
  CHECK(std::abs(kept / 100000 - 0.75) < 0.007);
  CHECK(dropout(x, 0, key).raw() == x.raw());
  CHECK_THROWS_AS(dropout(x, 1, key), Error);
  CHECK_THROWS_AS(dropout(x, -0.1, key), Error);
  const auto y = channel_dropout(Tensor::full(Shape{8, 3, 16}, 1), 0.5, key).values();
  for (int n = 0; n < 8; ++n)
    for (int i = 0; i < 48; ++i) CHECK(y[n * 48 + i] == y[n * 48 + i % 16]);
}

}  // namespace dae
