#include "data/files/npz.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

#include "data/files/file.h"
#include "kernels/device/error.h"

namespace dae {

namespace {

constexpr size_t kLargestHeader = 65535;

struct Descr {
  const char *descr, *dtype;
};
constexpr Descr kTypes[] = {{"|u1", "U8"},  {"|i1", "I8"},  {"|b1", "BOOL"}, {"<u2", "U16"},
                            {"<i2", "I16"}, {"<u4", "U32"}, {"<i4", "I32"},  {"<u8", "U64"},
                            {"<i8", "I64"}, {"<f2", "F16"}, {"<f4", "F32"},  {"<f8", "F64"}};

struct Header {
  std::string descr;
  bool fortran = false;
  std::vector<int64_t> shape;
};

// Parses the header of a .npy, a Python literal with these keys in any order and no others:
//   {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
// Returns nothing if it is something else.
std::optional<Header> parse_header(std::string_view text) {
  size_t at = 0;
  const auto take = [&](std::string_view token) {
    while (at < text.size() && (text[at] == ' ' || text[at] == '\n')) ++at;
    if (text.substr(at, token.size()) != token) return false;
    at += token.size();
    return true;
  };
  const auto quoted = [&]() -> std::optional<std::string> {
    const char* quote = take("'") ? "'" : take("\"") ? "\"" : nullptr;
    const size_t end = quote ? text.find(quote, at) : std::string_view::npos;
    if (end == std::string_view::npos) return {};
    const std::string out(text.substr(at, end - at));
    at = end + 1;
    return out;
  };
  Header out;
  bool descr = false, order = false, shape = false;
  if (!take("{")) return {};
  while (!take("}")) {
    const std::optional<std::string> key = quoted();
    if (!key || !take(":")) return {};
    if (*key == "descr" && !descr) {
      const std::optional<std::string> value = quoted();
      if (!value) return {};
      out.descr = *value, descr = true;
    } else if (*key == "fortran_order" && !order) {
      out.fortran = take("True"), order = true;
      if (!out.fortran && !take("False")) return {};
    } else if (*key == "shape" && !shape) {
      shape = true;
      if (!take("(")) return {};
      while (!take(")")) {
        take("");  // skips spaces
        int64_t n = -1;
        const auto [end, error] = std::from_chars(text.data() + at, text.data() + text.size(), n);
        if (error != std::errc() || n < 0) return {};
        at = size_t(end - text.data());
        out.shape.push_back(n);
        if (!take(",") && (out.shape.size() == 1 || text.substr(at, 1) != ")")) return {};
      }
    } else {
      return {};
    }
    if (!take(",") && text.substr(at, 1) != "}") return {};
  }
  take("");
  if (at != text.size() || !descr || !order || !shape) return {};
  return out;
}

// Converts an array from Fortran order (the first index varies fastest) to C order.
std::string turn(std::string_view from, const std::vector<int64_t>& shape, size_t width) {
  std::string to(from.size(), '\0');
  std::vector<int64_t> index(shape.size(), 0);
  std::vector<size_t> stride(shape.size(), width);  // the strides of the source, in bytes
  for (size_t i = 1; i < shape.size(); ++i) stride[i] = stride[i - 1] * size_t(shape[i - 1]);
  size_t source = 0;
  for (size_t at = 0; at < to.size(); at += width) {
    std::memcpy(to.data() + at, from.data() + source, width);
    for (size_t i = shape.size(); i-- > 0;) {
      source += stride[i];
      if (++index[i] < shape[i]) break;
      source -= stride[i] * size_t(shape[i]), index[i] = 0;
    }
  }
  return to;
}

}  // namespace

Npz::Npz(const std::string& path) : Npz(path, read_file(path)) {}

Npz::Npz(const std::string& path, std::string content) : path_(path) {
  if (is_npy(content)) {
    npy_ = std::move(content);
    add("arr_0", npy_);
    return;
  }
  if (!is_zip(content) && !content.starts_with("PK\5\6"))
    fail(Fault::data, "{}: expected an .npz or .npy file, found the start of neither", path);
  zip_ = std::make_unique<Zip>(path, std::move(content));
  for (const Zip::Member& m : zip_->members()) {
    if (!m.name.ends_with(".npy"))
      fail(Fault::data, "{}: {}: expected members named .npy, found this one besides; it is no .npz", path,
           m.name);
    add(m.name.substr(0, m.name.size() - 4), zip_->bytes(m));
  }
}

void Npz::add(const std::string& name, std::string_view npy) {
  if (npy.size() < 10 || !is_npy(npy))
    fail(Fault::data, "{}: {}: expected an array of NumPy's, found something else", path_, name);
  const int major = uint8_t(npy[6]), wide = major == 1 ? 2 : 4;
  if (major < 1 || major > 3)
    fail(Fault::data, "{}: {}: expected version 1, 2 or 3 of the .npy format, found {}", path_, name, major);
  const size_t begin = 8 + size_t(wide);
  size_t length = 0;
  for (int i = wide; i--;) length = length << 8 | (npy.size() < begin ? 255 : uint8_t(npy[8 + size_t(i)]));
  if (npy.size() < begin || length > kLargestHeader || length > npy.size() - begin)
    fail(Fault::data, "{}: {}: its header claims {} bytes, the array has {}; it is truncated", path_, name,
         length, npy.size());
  const std::optional<Header> header = parse_header(npy.substr(begin, length));
  if (!header)
    fail(Fault::data,
         "{}: {}: expected a header with descr, one plain dtype, fortran_order and shape, found another",
         path_, name);
  const auto type = std::find_if(std::begin(kTypes), std::end(kTypes), [&](const Descr& d) {
    return header->descr == d.descr ||
           (d.descr[0] == '|' && header->descr.starts_with('<') && header->descr.substr(1) == d.descr + 1);
  });
  if (type == std::end(kTypes))
    fail(Fault::data,
         "{}: {}: expected booleans, integers or floats, little-endian, found dtype '{}'; save it as one of "
         "these",
         path_, name, header->descr);
  const std::string_view data = npy.substr(begin + length);
  const int64_t width = element_size(type->dtype), bytes = byte_size(width, header->shape);
  if (bytes < 0 || uint64_t(bytes) != data.size())
    fail(Fault::data, "{}: {}: expected {} of shape ({}), found {} bytes of data", path_, name, type->dtype,
         fmt::join(header->shape, ", "), data.size());
  entries_.push_back({name, type->dtype, header->shape, data.data(), data.size()});
  if (header->fortran && header->shape.size() > 1) {
    turned_.push_back(turn(data, header->shape, size_t(width)));
    entries_.back().bytes = turned_.back().data();
  }
}

const TensorEntry* Npz::find(const std::string& name) const {
  for (const TensorEntry& e : entries_)
    if (e.name == name) return &e;
  return nullptr;
}

void save_npz(const std::string& path, const std::vector<TensorEntry>& entries) {
  std::deque<std::string> headers;
  std::vector<ZipPart> parts;
  for (const TensorEntry& e : entries) {
    const auto type = std::find_if(std::begin(kTypes), std::end(kTypes),
                                   [&](const Descr& d) { return e.dtype == d.dtype; });
    if (type == std::end(kTypes))
      fail(Fault::data, "{}: {}: expected a dtype that NumPy has, found {}; convert it to F32", path, e.name,
           e.dtype);
    std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}",
                                   type->descr, fmt::join(e.shape, ", "), e.shape.size() == 1 ? "," : "");
    text.resize((10 + text.size() + 1 + 63) / 64 * 64 - 11, ' ');  // the array begins at a multiple of 64
    text += '\n';
    headers.push_back(std::string("\x93NUMPY\x01\x00", 8) + char(text.size() & 255) + char(text.size() >> 8) +
                      text);
    parts.push_back({e.name + ".npy", {headers.back(), {static_cast<const char*>(e.bytes), e.size}}});
  }
  save_zip(path, parts);
}

}  // namespace dae
