#include "data/files/torch_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "data/files/file.h"
#include "data/files/pickle.h"
#include "kernels/device/error.h"

namespace dae {

namespace {

using Kind = PickleValue::Kind;

constexpr uint64_t kFreely = uint64_t{1} << 26, kLargestRatio = 100;
constexpr size_t kMostNodes = size_t{1} << 18, kLongestName = 1024,
                 kLongestText = 200;  // limits for the tree of containers
constexpr int kDeepest = 64;
const std::string kMagic("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);  // 0x1950a86a20f9469cfc6c
constexpr int64_t kLegacyProtocol = 1001;

// The element types of PyTorch's storages and dtypes, by name. An untyped storage holds bytes; the dtype of
// its tensor is an argument of _rebuild_tensor_v3.
const std::map<std::string, std::string> kDtypes = {{"torch.FloatStorage", "F32"},
                                                    {"torch.DoubleStorage", "F64"},
                                                    {"torch.HalfStorage", "F16"},
                                                    {"torch.BFloat16Storage", "BF16"},
                                                    {"torch.LongStorage", "I64"},
                                                    {"torch.IntStorage", "I32"},
                                                    {"torch.ShortStorage", "I16"},
                                                    {"torch.CharStorage", "I8"},
                                                    {"torch.ByteStorage", "U8"},
                                                    {"torch.BoolStorage", "BOOL"},
                                                    {"torch.storage.UntypedStorage", "U8"},
                                                    {"torch.UntypedStorage", "U8"},
                                                    {"torch.float32", "F32"},
                                                    {"torch.float64", "F64"},
                                                    {"torch.float16", "F16"},
                                                    {"torch.bfloat16", "BF16"},
                                                    {"torch.int64", "I64"},
                                                    {"torch.int32", "I32"},
                                                    {"torch.int16", "I16"},
                                                    {"torch.int8", "I8"},
                                                    {"torch.uint8", "U8"},
                                                    {"torch.uint16", "U16"},
                                                    {"torch.uint32", "U32"},
                                                    {"torch.uint64", "U64"},
                                                    {"torch.bool", "BOOL"}};
const std::string kTensor = "torch._utils._rebuild_tensor", kTensor2 = "torch._utils._rebuild_tensor_v2",
                  kTensor3 = "torch._utils._rebuild_tensor_v3",
                  kParameter = "torch._utils._rebuild_parameter",
                  kParameterState = "torch._utils._rebuild_parameter_with_state", kSize = "torch.Size",
                  kDevice = "torch.device";

bool allowed(const std::string& global) {
  static const std::set<std::string> others = {
      "collections.OrderedDict", kTensor, kTensor2, kTensor3, kParameter, kParameterState, kSize, kDevice};
  return others.contains(global) || kDtypes.contains(global);
}

}  // namespace

// Fills a TorchFile from its pickle.
class TorchReader {
 public:
  TorchReader(TorchFile& file, size_t bytes)
      : file_(file), path_(file.path_), most_(std::max(kFreely, kLargestRatio * bytes)), left_(most_) {}

  void read_zip(std::string content) {
    file_.zip_ = std::make_unique<Zip>(path_, std::move(content));
    const auto& members = file_.zip_->members();
    const std::string end = "data.pkl";
    const auto found = std::find_if(members.begin(), members.end(), [&](const Zip::Member& m) {
      return m.name == end ||
             (m.name.ends_with("/" + end) && m.name.find('/') + 1 + end.size() == m.name.size());
    });
    if (found == members.end())
      fail(Fault::data, "{}: expected a checkpoint of PyTorch with a data.pkl, found a zip without one",
           path_);
    const std::string root = found->name.substr(0, found->name.size() - end.size());
    if (const Zip::Member* order = file_.zip_->find(root + "byteorder");
        order && file_.zip_->bytes(*order) != "little")
      fail(Fault::data, "{}: expected a checkpoint of a little-endian machine, found byteorder \"{}\"", path_,
           file_.zip_->bytes(*order).substr(0, 20));
    storage_bytes_ = [this, root](const std::string& key) {
      const Zip::Member* m = file_.zip_->find(root + "data/" + key);
      if (!m) fail(Fault::data, "{}: expected the storage {}data/{}, found none", path_, root, key);
      return file_.zip_->bytes(*m);
    };
    size_t at = 0;
    const Pickle pickle(path_ + ": " + found->name, file_.zip_->bytes(*found), at, allowed);
    flatten_all(pickle.value());
  }

  void read_legacy() {
    const std::string_view bytes = file_.content_;
    size_t at = 0;
    const auto next = [&](const char* what) { return Pickle(path_ + ": " + what, bytes, at, allowed); };
    if (const Pickle magic = next("magic number"); magic.value().text != kMagic)
      fail(Fault::data, "{}: expected a checkpoint of PyTorch, found another kind of pickle", path_);
    if (const Pickle protocol = next("protocol"); protocol.value().integer != kLegacyProtocol)
      fail(Fault::data, "{}: expected protocol {} of PyTorch's old format, found {}", path_, kLegacyProtocol,
           protocol.value().integer);
    const Pickle system = next("system");
    const auto& items = system.value().items;
    for (size_t i = 0; i + 1 < items.size(); i += 2)
      if (items[i]->text == "little_endian" && !items[i + 1]->integer)
        fail(Fault::data, "{}: expected a checkpoint of a little-endian machine, found one of a big-endian",
             path_);
    const Pickle pickle = next("tensors"), keys = next("storage keys");
    find_storages(pickle.value());
    std::map<std::string, std::string_view> raw;
    for (const PickleValue* key : keys.value().items) {
      const auto width = widths_.find(key->text);
      if (!key->is(Kind::text) || width == widths_.end())
        fail(Fault::data, "{}: storage {}: no tensor uses it", path_, raw.size());
      uint64_t count = 0;
      if (bytes.size() - at >= 8) std::memcpy(&count, bytes.data() + at, 8), at += 8;
      if (count > (bytes.size() - at) / uint64_t(width->second))
        fail(Fault::data, "{}: storage {}: expected {} values of {} bytes, found the end of the file", path_,
             key->text, count, width->second);
      const uint64_t size = count * uint64_t(width->second);
      raw[key->text] = bytes.substr(at, size), at += size;
    }
    if (at != bytes.size()) fail(Fault::data, "{}: byte {}: bytes after the last storage", path_, at);
    storage_bytes_ = [this, raw](const std::string& key) {
      const auto found = raw.find(key);
      if (found == raw.end()) fail(Fault::data, "{}: expected the storage {}, found none", path_, key);
      return found->second;
    };
    flatten_all(pickle.value());
  }

 private:
  struct Storage {
    std::string dtype, key;
    int64_t count = 0;              // in elements
    int64_t begin = 0, length = 0;  // the elements in use: all, or the part that a view names (old files)
  };

  [[noreturn]] void odd(const std::string& name, const char* what) const {
    fail(Fault::data, "{}: {}: expected {} as PyTorch writes it, found something else", path_, name, what);
  }
  const PickleValue& argument(const std::string& name, const PickleValue& call, size_t i) const {
    if (call.items[1]->items.size() <= i) odd(name, "a tensor");
    return *call.items[1]->items[i];
  }
  int64_t size_argument(const std::string& name, const PickleValue& v) const {
    if (!v.is(Kind::integer) || !v.text.empty() || v.integer < 0) odd(name, "sizes and strides of a tensor");
    return v.integer;
  }
  std::vector<int64_t> sizes(const std::string& name, const PickleValue& v) const {
    const PickleValue& list = v.is(Kind::call) && v.items[0]->text == kSize ? argument(name, v, 0) : v;
    if (!list.is(Kind::tuple)) odd(name, "sizes and strides of a tensor");
    std::vector<int64_t> out;
    for (const PickleValue* n : list.items) out.push_back(size_argument(name, *n));
    return out;
  }

  // Reads the id of a storage:
  //   ('storage', type, key, device, elements[, view]), view: None or (key, first element, elements)
  Storage storage(const std::string& name, const PickleValue& v) const {
    if (!v.is(Kind::persistent) || !v.items[0]->is(Kind::tuple)) odd(name, "a storage");
    const auto& id = v.items[0]->items;
    if (id.size() < 5 || id[0]->text != "storage" || !id[1]->is(Kind::global) || !id[2]->is(Kind::text))
      odd(name, "a storage");
    const auto dtype = kDtypes.find(id[1]->text);
    if (dtype == kDtypes.end()) odd(name, "a storage");
    Storage out{dtype->second, id[2]->text, size_argument(name, *id[4])};
    out.length = out.count;
    if (id.size() > 5 && id[5]->is(Kind::tuple)) {
      if (id[5]->items.size() != 3) odd(name, "a storage");
      out.begin = size_argument(name, *id[5]->items[1]), out.length = size_argument(name, *id[5]->items[2]);
      if (out.begin > out.count || out.length > out.count - out.begin) odd(name, "a storage");
    }
    return out;
  }

  // Collects the element sizes of the storages from the whole pickle: the old format does not repeat them
  // where it stores the bytes.
  void find_storages(const PickleValue& root) {
    std::set<const PickleValue*> seen;
    std::vector<const PickleValue*> open = {&root};
    while (!open.empty()) {
      const PickleValue* v = open.back();
      open.pop_back();
      if (!seen.insert(v).second) continue;
      if (v->is(Kind::persistent)) {
        const Storage s = storage("a storage", *v);
        const auto [width, fresh] = widths_.try_emplace(s.key, element_size(s.dtype));
        if (!fresh && width->second != element_size(s.dtype)) odd(s.key, "one type of a storage");
      }
      open.insert(open.end(), v->items.begin(), v->items.end());
    }
  }

  void add_tensor(const std::string& name, const PickleValue& call) {
    const bool third = call.items[0]->text == kTensor3;
    const Storage from = storage(name, argument(name, call, 0));
    const int64_t offset = size_argument(name, argument(name, call, 1));
    TensorEntry entry{name, from.dtype, sizes(name, argument(name, call, 2)), nullptr, 0};
    std::vector<int64_t> strides = sizes(name, argument(name, call, 3));
    if (third) {
      const auto dtype = kDtypes.find(argument(name, call, 6).text);
      if (dtype == kDtypes.end()) odd(name, "a dtype");
      entry.dtype = dtype->second;
    }
    const int64_t width = element_size(entry.dtype), bytes = byte_size(width, entry.shape);
    if (bytes < 0 || uint64_t(bytes) > left_)
      fail(Fault::data,
           "{}: {}: expected tensors of at most {} bytes together for a file of this size, found more", path_,
           name, most_);
    left_ -= uint64_t(bytes), entry.size = size_t(bytes);

    std::string_view storage = storage_bytes_(from.key);
    if (uint64_t(byte_size(element_size(from.dtype), {from.count})) != storage.size())
      fail(Fault::data, "{}: {}: expected the storage {} of {} {}, found {} bytes", path_, name, from.key,
           from.count, from.dtype, storage.size());
    storage = storage.substr(size_t(from.begin * element_size(from.dtype)),
                             size_t(from.length * element_size(from.dtype)));
    if (strides.size() != entry.shape.size()) odd(name, "a stride for each size");
    __int128 last = offset;  // the last element of the storage that the tensor reaches
    for (size_t i = 0; i < strides.size(); ++i)
      last += __int128(std::max<int64_t>(0, entry.shape[i] - 1)) * strides[i];
    if (bytes > 0 && (last + 1) * width > __int128(storage.size()))
      fail(Fault::data, "{}: {}: its last element lies outside its storage of {} bytes", path_, name,
           storage.size());
    for (size_t i = 0; i < strides.size(); ++i)
      if (entry.shape[i] == 1) strides[i] = 0;  // PyTorch can store any number here; it has no effect
    bool contiguous = true;
    for (int64_t i = int64_t(strides.size()) - 1, dense = 1; bytes > 0 && i >= 0;
         dense *= entry.shape[size_t(i--)])
      contiguous &= entry.shape[size_t(i)] == 1 || strides[size_t(i)] == dense;
    if (bytes == 0) entry.bytes = nullptr;
    else if (contiguous) entry.bytes = storage.data() + offset * width;
    else {
      file_.gathered_.push_back(
          gather(storage.substr(size_t(offset * width)), entry.shape, strides, size_t(width)));
      entry.bytes = file_.gathered_.back().data();
    }
    file_.entries_.push_back(std::move(entry));
  }

  static std::string gather(std::string_view from, const std::vector<int64_t>& shape,
                            const std::vector<int64_t>& strides, size_t width) {
    std::string to(size_t(byte_size(int64_t(width), shape)), '\0');
    std::vector<int64_t> index(shape.size(), 0);
    int64_t source = 0;
    for (size_t at = 0; at < to.size(); at += width) {
      std::memcpy(to.data() + at, from.data() + size_t(source) * width, width);
      for (size_t i = shape.size(); i-- > 0;) {
        source += strides[i];
        if (++index[i] < shape[i]) break;
        source -= strides[i] * shape[i], index[i] = 0;
      }
    }
    return to;
  }

  void flatten_all(const PickleValue& root) {
    flatten(root, "", 0);
    std::set<std::string> names;
    for (const TensorEntry& e : file_.entries_)
      if (!names.insert(e.name).second)
        fail(Fault::data, "{}: two of its tensors are called {}", path_, e.name);
  }

  void flatten(const PickleValue& v, const std::string& name, int depth) {
    if (++nodes_ > kMostNodes || depth > kDeepest)
      fail(Fault::data, "{}: expected at most {} values, {} levels deep, found more", path_, kMostNodes,
           kDeepest);
    const auto below = [&](const PickleValue& item, const std::string& key) {
      if (name.size() + key.size() > kLongestName)
        fail(Fault::data, "{}: expected names of at most {} bytes, found a longer one", path_, kLongestName);
      flatten(item, name.empty() ? key : name + "." + key, depth + 1);
    };
    const std::string full = name.empty() ? "tensor" : name;
    const auto leaf = [&](const std::string& text) { file_.values_.push_back({full, text}); };
    switch (v.kind) {
      case Kind::none:
        return leaf("None");
      case Kind::boolean:
        return leaf(v.integer ? "True" : "False");
      case Kind::integer:
        return leaf(v.text.empty() ? std::to_string(v.integer)
                                   : "an integer of " + std::to_string(v.text.size()) + " bytes");
      case Kind::number:
        return leaf(fmt::format("{}", v.number));
      case Kind::text:
      case Kind::global:
        return leaf(v.text.substr(0, kLongestText));
      case Kind::list:
      case Kind::tuple:
        for (size_t i = 0; i < v.items.size(); ++i) below(*v.items[i], std::to_string(i));
        return;
      case Kind::dict:
        for (size_t i = 0; i < v.items.size(); i += 2) {
          const PickleValue& key = *v.items[i];
          if (!key.is(Kind::text) && !(key.is(Kind::integer) && key.text.empty()))
            fail(Fault::data, "{}: {}: expected texts and integers as keys of a dict, found another", path_,
                 full);
          below(*v.items[i + 1], key.is(Kind::text) ? key.text : std::to_string(key.integer));
        }
        return;
      case Kind::call: {
        const std::string& callee = v.items[0]->text;
        if (callee == kTensor || callee == kTensor2 || callee == kTensor3) return add_tensor(full, v);
        if (callee == kParameter || callee == kParameterState)
          return flatten(argument(full, v, 0), name, depth + 1);
        if (callee == kSize) return flatten(argument(full, v, 0), name, depth + 1);
        if (callee == kDevice) return leaf("a device");
        odd(full, "a tensor");
      }
      case Kind::persistent:
        odd(full, "a tensor");
    }
  }

  TorchFile& file_;
  const std::string& path_;
  std::function<std::string_view(const std::string& key)> storage_bytes_;
  std::map<std::string, int64_t> widths_;
  uint64_t most_, left_;  // bytes that the tensors may have together, and the rest of them
  size_t nodes_ = 0;
};

TorchFile::TorchFile(const std::string& path) : TorchFile(path, read_file(path)) {}

TorchFile::TorchFile(const std::string& path, std::string content) : path_(path) {
  if (is_zip(content)) {
    const size_t size = content.size();
    TorchReader(*this, size).read_zip(std::move(content));
  } else if (is_pickle(content)) {
    content_ = std::move(content);
    TorchReader(*this, content_.size()).read_legacy();
  } else {
    fail(Fault::data, "{}: expected a checkpoint of PyTorch, found neither a zip nor a pickle", path);
  }
}

}  // namespace dae
