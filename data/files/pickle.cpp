// A pickle runs on a machine with a stack, marks on the stack, and a memo. The opcodes are those of Python's
// Lib/pickletools.py.
#include "data/files/pickle.h"

#include <bit>
#include <unordered_map>

#include "kernels/device/error.h"

namespace dae {

namespace {

using Kind = PickleValue::Kind;

constexpr size_t kMostValues = size_t{1} << 22;  // a checkpoint of thousands of tensors has about 100,000

class Machine {
 public:
  Machine(const std::string& where, std::string_view bytes, size_t& at,
          const std::function<bool(const std::string&)>& allowed, std::deque<PickleValue>& values)
      : where_(where), bytes_(bytes), at_(at), allowed_(allowed), values_(values) {}

  const PickleValue* run() {
    for (;;) {
      start_ = at_;
      const int opcode = uint8_t(take(1)[0]);
      if (opcode == '.') return pop();
      step(opcode);
    }
  }

 private:
  [[noreturn]] void damaged(const std::string& what) const {
    fail(Fault::data, "{}: byte {}: {}; expected a pickle of tensors and plain containers", where_, start_,
         what);
  }

  std::string_view take(uint64_t count) {
    if (count > bytes_.size() - at_) damaged("it is cut short");
    at_ += count;
    return bytes_.substr(at_ - count, count);
  }
  uint64_t number(int count) {
    const std::string_view text = take(uint64_t(count));
    uint64_t value = 0;
    for (int i = count; i--;) value = value << 8 | uint8_t(text[size_t(i)]);
    return value;
  }
  std::string line() {
    const size_t end = bytes_.find('\n', at_);
    if (end == std::string_view::npos) damaged("it is cut short");
    const std::string out(take(end - at_));
    take(1);
    return out;
  }

  PickleValue* make(PickleValue value) {
    if (values_.size() == kMostValues) damaged(fmt::format("more than {} values", kMostValues));
    values_.push_back(std::move(value));
    return &values_.back();
  }
  void push(PickleValue value) { stack_.push_back(make(std::move(value))); }
  void push_text(uint64_t size) { push({.kind = Kind::text, .text = std::string(take(size))}); }

  // The size of the stack below which no opcode may reach: that of the last mark.
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  PickleValue* top() {
    if (stack_.size() <= floor()) damaged("it takes a value that is not there");
    return stack_.back();
  }
  PickleValue* pop() {
    PickleValue* out = top();
    stack_.pop_back();
    return out;
  }
  std::vector<const PickleValue*> pop_items(size_t count) {
    if (stack_.size() - floor() < count) damaged("it takes a value that is not there");
    std::vector<const PickleValue*> out(stack_.end() - ptrdiff_t(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return out;
  }
  std::vector<const PickleValue*> pop_to_mark() {
    if (marks_.empty()) damaged("it takes a mark that is not there");
    std::vector<const PickleValue*> out = pop_items(stack_.size() - marks_.back());
    marks_.pop_back();
    return out;
  }

  void extend(Kind kind, const char* what, const std::vector<const PickleValue*>& items) {
    PickleValue* to = top();
    if (!to->is(kind) || (kind == Kind::dict && items.size() % 2))
      damaged(fmt::format("it fills what is no {}", what));
    to->items.insert(to->items.end(), items.begin(), items.end());
  }
  void put(uint64_t slot) { memo_[slot] = top(); }
  void get(uint64_t slot) {
    const auto found = memo_.find(slot);
    if (found == memo_.end()) damaged(fmt::format("it takes value {} of its memo, which is not there", slot));
    stack_.push_back(found->second);
  }

  void push_long(uint64_t size) {
    const std::string_view text = take(size);
    PickleValue out{.kind = Kind::integer};
    if (size > 8) {
      out.text = text;
    } else {
      uint64_t value = size && (uint8_t(text.back()) & 0x80) ? ~uint64_t{0} : 0;  // the sign
      for (size_t i = size; i--;) value = value << 8 | uint8_t(text[i]);
      out.integer = int64_t(value);
    }
    push(std::move(out));
  }
  void push_global(const std::string& module, const std::string& name) {
    std::string full = module + "." + name;
    if (!allowed_(full)) {
      for (char& c : full)
        if (uint8_t(c) < 32) c = '?';
      fail(Fault::data,
           "{}: expected tensors and plain containers only, found the global {}; nothing of it was run; save "
           "the "
           "state_dict alone",
           where_, full.substr(0, 200));
    }
    push({.kind = Kind::global, .text = full});
  }
  void reduce() {
    const PickleValue *arguments = pop(), *callee = pop();
    if (!callee->is(Kind::global) || !arguments->is(Kind::tuple)) damaged("it calls what is no global");
    if (callee->text != "collections.OrderedDict") {
      push({.kind = Kind::call, .items = {callee, arguments}});
      return;
    }
    PickleValue out{.kind = Kind::dict};
    if (!arguments->items.empty())  // Python 2 writes an OrderedDict as a list of pairs
      for (const PickleValue* pair : arguments->items[0]->items) {
        if (pair->items.size() != 2) damaged("it makes an OrderedDict of what are no pairs");
        out.items.insert(out.items.end(), pair->items.begin(), pair->items.end());
      }
    push(std::move(out));
  }

  void step(int opcode) {
    switch (opcode) {
      case 0x80: {  // PROTO
        const uint64_t protocol = number(1);
        if (protocol < 2 || protocol > 5) damaged(fmt::format("protocol {}, known are 2 to 5", protocol));
        return;
      }
      case 0x95:  // FRAME
        number(8);
        return;
      case '(':
        marks_.push_back(stack_.size());
        return;
      case '0':
        pop();
        return;
      case '1':
        pop_to_mark();
        return;
      case '2':
        stack_.push_back(top());
        return;
      case 'N':
        return push({});
      case 0x88:
      case 0x89:
        return push({.kind = Kind::boolean, .integer = opcode == 0x88});
      case 'J':
        return push({.kind = Kind::integer, .integer = int32_t(number(4))});
      case 'K':
        return push({.kind = Kind::integer, .integer = int64_t(number(1))});
      case 'M':
        return push({.kind = Kind::integer, .integer = int64_t(number(2))});
      case 0x8a:
        return push_long(number(1));
      case 0x8b:
        return push_long(number(4));
      case 'G': {  // big-endian
        uint64_t bits = 0;
        for (const char c : take(8)) bits = bits << 8 | uint8_t(c);
        return push({.kind = Kind::number, .number = std::bit_cast<double>(bits)});
      }
      case 'U':  // byte strings of Python 2; then text and bytes
      case 'C':
      case 0x8c:
        return push_text(number(1));
      case 'T':
      case 'B':
      case 'X':
        return push_text(number(4));
      case 0x8d:
      case 0x8e:
        return push_text(number(8));
      case ')':
        return push({.kind = Kind::tuple});
      case 0x85:
      case 0x86:
      case 0x87:
        return push({.kind = Kind::tuple, .items = pop_items(size_t(opcode - 0x84))});
      case 't':
        return push({.kind = Kind::tuple, .items = pop_to_mark()});
      case ']':
        return push({.kind = Kind::list});
      case 'l':
        return push({.kind = Kind::list, .items = pop_to_mark()});
      case 'a':
        return extend(Kind::list, "list", pop_items(1));
      case 'e':
        return extend(Kind::list, "list", pop_to_mark());
      case '}':
        return push({.kind = Kind::dict});
      case 'd': {
        PickleValue out{.kind = Kind::dict, .items = pop_to_mark()};
        if (out.items.size() % 2) damaged("it fills what is no dict");
        return push(std::move(out));
      }
      case 's':
        return extend(Kind::dict, "dict", pop_items(2));
      case 'u':
        return extend(Kind::dict, "dict", pop_to_mark());
      case 'q':
        return put(number(1));
      case 'r':
        return put(number(4));
      case 0x94:  // MEMOIZE
        return put(memo_.size());
      case 'h':
        return get(number(1));
      case 'j':
        return get(number(4));
      case 'c': {
        const std::string module = line(), name = line();
        return push_global(module, name);
      }
      case 0x93: {
        const PickleValue *name = pop(), *module = pop();
        if (!name->is(Kind::text) || !module->is(Kind::text)) damaged("it names a global by what is no text");
        return push_global(module->text, name->text);
      }
      case 'R':
        return reduce();
      case 'b':  // sets attributes, such as the _metadata of a state_dict; they are dropped
        pop();
        if (!top()->is(Kind::dict)) damaged("it sets attributes of what is no OrderedDict");
        return;
      case 'Q':
        return push({.kind = Kind::persistent, .items = {pop()}});
      default:
        damaged(fmt::format("opcode {:#04x}, which makes other things", opcode));
    }
  }

  const std::string& where_;
  std::string_view bytes_;
  size_t& at_;
  const std::function<bool(const std::string&)>& allowed_;
  std::deque<PickleValue>& values_;
  size_t start_ = 0;  // where the current opcode begins
  std::vector<PickleValue*> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, PickleValue*> memo_;
};

}  // namespace

Pickle::Pickle(const std::string& where, std::string_view bytes, size_t& at,
               const std::function<bool(const std::string& global)>& allowed) {
  value_ = Machine(where, bytes, at, allowed, values_).run();
}

}  // namespace dae
