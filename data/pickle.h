// Python's pickles as data. A pickle is a program that calls what it names; this reader calls nothing: names
// must be on a list, and a call is kept as a value. So the worst that a hostile pickle does is to be refused.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

struct PickleValue {
  enum class Kind {
    none,
    boolean,     // integer
    integer,     // integer; of more than 8 bytes: `text`, little-endian two's complement
    number,      // number
    text,        // text
    list,        // items
    tuple,       // items
    dict,        // items: key, value, key, value ... (also an OrderedDict)
    global,      // text: "module.name"
    call,        // items: the global, the tuple of its arguments
    persistent,  // items: the id, of something stored outside the pickle
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
  // Reads one pickle of protocol 2 to 5 from `bytes` at `at`, and moves `at` behind it. `where` begins its
  // messages; `allowed` says whether a global may stand in it. Fault::data, one line; a refused global is
  // named.
  Pickle(const std::string& where, std::string_view bytes, size_t& at,
         const std::function<bool(const std::string& global)>& allowed);
  const PickleValue& value() const {
    return *value_;
  }  // may hold a value twice, and itself; lives as long as this

 private:
  std::deque<PickleValue> values_;
  const PickleValue* value_ = nullptr;
};
