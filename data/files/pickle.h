// Reads Python pickles as data. A pickle is a program that can call any function that it names. This reader
// calls nothing: a name must be allowed, and a call becomes a value. So a hostile pickle can only be refused.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace dae {

struct PickleValue {
  enum class Kind {
    none,
    boolean,     // in integer
    integer,     // in integer; with more than 8 bytes in text, as little-endian two's complement
    number,      // in number
    text,        // in text
    list,        // in items
    tuple,       // in items
    dict,        // in items: key, value, key, value ...; an OrderedDict too
    global,      // in text: "module.name"
    call,        // in items: the global, the tuple of its arguments
    persistent,  // in items: the id of something stored outside the pickle
  };
  Kind kind = Kind::none;
  int64_t integer = 0;
  double number = 0;
  std::string text = {};
  std::vector<const PickleValue*> items = {};
  bool is(Kind k) const { return kind == k; }
};

class Pickle {
 public:
  // Reads one pickle of protocol 2 to 5 from `bytes`, beginning at `at`, and moves `at` behind it.
  // allowed(global) says whether the pickle may name that global. Fault::data, one line that begins with
  // `where`, for a damaged pickle or a global that is not allowed.
  Pickle(const std::string& where, std::string_view bytes, size_t& at,
         const std::function<bool(const std::string& global)>& allowed);
  // The value lives as long as the Pickle. It can hold one value in several places, and even itself.
  const PickleValue& value() const { return *value_; }

 private:
  std::deque<PickleValue> values_;
  const PickleValue* value_ = nullptr;
};

}  // namespace dae
