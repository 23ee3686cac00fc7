// The keys of a recipe: the name of each, the field it is read into, what it may be, and when it has an
// effect.
#pragma once
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace dae {

// What a value must be.
struct Allowed {
  const char* expected;        // in words; for a string its choices as "a|b", or "" for any text
  bool (*holds)(double) = {};  // for a number, and for each number of a list
};
inline constexpr Allowed kAny{"a number", [](double v) { return std::isfinite(v); }};
inline constexpr Allowed kFlag{"true or false"};
inline constexpr Allowed kText{""};
inline constexpr Allowed kCount{"an integer of at least 0", [](double v) { return v >= 0; }};
inline constexpr Allowed kPositive{"an integer of at least 1", [](double v) { return v >= 1; }};
inline constexpr Allowed kWidth{"a number above 0 and at most 8", [](double v) { return v > 0 && v <= 8; }};
inline constexpr Allowed kWeight{"a number of at least 0",
                                 [](double v) { return v >= 0 && std::isfinite(v); }};
inline constexpr Allowed kTemperature{"a number from 0.001 to 1000",
                                      [](double v) { return v >= 1e-3 && v <= 1e3; }};
inline constexpr Allowed kScale{"a number from 1 to 2^24", [](double v) { return v >= 1 && v <= 0x1p24; }};
inline constexpr Allowed kBelowOne{"a number from 0 to below 1", [](double v) { return v >= 0 && v < 1; }};
inline constexpr Allowed kSwitch{"a number above 0 and below 1", [](double v) { return v > 0 && v < 1; }};

// A condition for a key to have an effect.
struct Need {
  std::string key;     // another key, or "device"
  std::string values;  // the values that it must have, as "a|b"; "" for any but 0
};

// An optional field is a key that may be left out; it is then not written either.
using Field = std::variant<bool*, int64_t*, uint64_t*, double*, std::string*, std::vector<int64_t>*,
                           std::optional<bool>*, std::optional<double>*, std::optional<std::string>*>;

struct RecipeKey {
  std::string name;  // "model.z_dim"
  Field field;
  Allowed check;
  std::vector<Need> needs = {};  // all of them, and those of the keys they name
};

// Returns whether `word` is one of the choices "a|b".
bool is_choice(const std::string& choices, const std::string& word);
// Returns whether the field takes text, so that a bare word on the command line is a value.
bool takes_text(const RecipeKey& key);
// Returns whether the field has a value: only an optional one may have none.
bool is_given(const RecipeKey& key);
// Returns the value as text, without quotes; a list as "1, 2".
std::string value_of(const RecipeKey& key);
// Returns the value in TOML.
std::string toml_of(const RecipeKey& key);
// Returns the text as a TOML string.
std::string toml_string(const std::string& text);
}  // namespace dae
