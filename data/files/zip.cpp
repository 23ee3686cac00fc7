// The records of PKWARE's APPNOTE.TXT 6.3, all numbers little-endian:
//   local header   PK34  version flags method time date crc stored size name-length extra-length | name extra
//   directory      PK12  made-by version flags method time date crc stored size name-length extra-length
//                        comment-length disk attributes(2) attributes(4) offset-of-local | name extra comment
//   end            PK56  disk disk members members directory-size directory-offset comment-length | comment
// zip64: a number that does not fit has all bits set. Its value then stands in the extra field 0x0001. The
// numbers of the end record stand in a record PK66, to which a locator PK67 before the end record points.
#include "data/files/zip.h"

#include <zlib.h>

#include <algorithm>

#include "data/files/file.h"
#include "kernels/device/error.h"

namespace dae {

namespace {

constexpr uint32_t kLocal = 0x04034b50, kDirectory = 0x02014b50, kEnd = 0x06054b50, kEnd64 = 0x06064b50,
                   kLocator64 = 0x07064b50;
constexpr size_t kLocalSize = 30, kDirectorySize = 46, kEndSize = 22, kEnd64Size = 56, kLocatorSize = 20;
constexpr uint16_t kStored = 0, kDeflated = 8, kZip64Field = 1, kEncrypted = 1, kDescriptor = 8;
constexpr uint16_t kVersion64 = 45, kVersion = 20, kDate = 0x21;  // 1980-01-01
constexpr uint64_t k16 = 0xFFFF, k32 = 0xFFFFFFFF;
constexpr uint64_t kFreely = uint64_t{1} << 30, kLargestRatio = 100;

uint64_t number(std::string_view at, size_t from, int count) {
  uint64_t value = 0;
  for (int i = count; i--;) value = value << 8 | uint8_t(at[from + size_t(i)]);
  return value;
}

// Reads the zip64 extra field. It holds the values of those of `numbers` that have all bits set, in this
// order.
void read_zip64(const std::string& path, const std::string& name, std::string_view extra,
                std::initializer_list<uint64_t*> numbers) {
  for (size_t at = 0; at + 4 <= extra.size();) {
    const uint64_t kind = number(extra, at, 2), size = number(extra, at + 2, 2);
    at += 4;
    if (size > extra.size() - at) break;
    if (kind == kZip64Field) {
      size_t next = at;
      for (uint64_t* n : numbers) {
        if (*n != k32) continue;
        if (next + 8 > at + size) fail(Fault::data, "{}: {}: its zip64 field is too short", path, name);
        *n = number(extra, next, 8);
        next += 8;
      }
      return;
    }
    at += size;
  }
}

struct Directory {
  uint64_t members = 0, size = 0, offset = 0, end = 0;
};

// Finds the end record: the one whose comment ends exactly at the end of the file.
Directory find_directory(const std::string& path, std::string_view file) {
  const size_t lowest = file.size() - std::min<size_t>(file.size(), kEndSize + k16);
  size_t at = std::string_view::npos;
  for (size_t i = file.size() - std::min(file.size(), kEndSize) + 1; i-- > lowest;)
    if (file.size() - i >= kEndSize && number(file, i, 4) == kEnd &&
        number(file, i + 20, 2) == file.size() - i - kEndSize) {
      at = i;
      break;
    }
  if (at == std::string_view::npos)
    fail(Fault::data,
         "{}: expected a zip archive with its directory at the end, found none; it is truncated or "
         "no zip",
         path);
  Directory out{number(file, at + 10, 2), number(file, at + 12, 4), number(file, at + 16, 4), at};
  uint64_t disks = number(file, at + 4, 2) | number(file, at + 6, 2);
  if (at >= kLocatorSize && number(file, at - kLocatorSize, 4) == kLocator64) {
    const uint64_t record = number(file, at - kLocatorSize + 8, 8);
    if (at < kLocatorSize + kEnd64Size || record > at - kLocatorSize - kEnd64Size ||
        number(file, record, 4) != kEnd64)
      fail(Fault::data, "{}: its zip64 locator points at byte {}, where no such record is", path, record);
    disks |= number(file, record + 16, 4) | number(file, record + 20, 4);
    out = {number(file, record + 32, 8), number(file, record + 40, 8), number(file, record + 48, 8), record};
  }
  if (disks != 0 && disks != k16)
    fail(Fault::data, "{}: expected one zip file, found a part of several", path);
  if (out.offset > out.end || out.size != out.end - out.offset || out.members > out.size / kDirectorySize)
    fail(Fault::data, "{}: its zip directory claims {} members in {} bytes from byte {}, but ends at byte {}",
         path, out.members, out.size, out.offset, out.end);
  return out;
}

}  // namespace

Zip::Zip(const std::string& path) : Zip(path, read_file(path)) {}

Zip::Zip(std::string path, std::string content) : path_(std::move(path)), content_(std::move(content)) {
  const std::string_view file = content_;
  const Directory directory = find_directory(path_, file);
  std::set<std::string> names;
  std::vector<std::pair<uint64_t, uint64_t>> ranges;  // the bytes of each member with its header
  uint64_t at = directory.offset, total = 0;
  for (uint64_t i = 0; i < directory.members; ++i) {
    if (directory.end - at < kDirectorySize || number(file, at, 4) != kDirectory)
      fail(Fault::data, "{}: byte {}: expected member {} of its zip directory, found none", path_, at, i);
    const uint64_t flags = number(file, at + 8, 2), method = number(file, at + 10, 2),
                   name_size = number(file, at + 28, 2), extra_size = number(file, at + 30, 2),
                   comment_size = number(file, at + 32, 2);
    Member m{.name = {},
             .crc = uint32_t(number(file, at + 16, 4)),
             .stored = number(file, at + 20, 4),
             .size = number(file, at + 24, 4)};
    uint64_t local = number(file, at + 42, 4);
    at += kDirectorySize;
    if (name_size + extra_size + comment_size > directory.end - at)
      fail(Fault::data, "{}: byte {}: a member reaches beyond its zip directory", path_, at);
    m.name = file.substr(at, name_size);
    read_zip64(path_, m.name, file.substr(at + name_size, extra_size), {&m.size, &m.stored, &local});
    at += name_size + extra_size + comment_size;

    if (!names.insert(m.name).second) fail(Fault::data, "{}: the member {} stands twice", path_, m.name);
    if (flags & kEncrypted) fail(Fault::data, "{}: {}: it is encrypted", path_, m.name);
    if (method != kStored && method != kDeflated)
      fail(Fault::data, "{}: {}: expected a stored or deflated member, found compression method {}", path_,
           m.name, method);
    m.deflated = method == kDeflated;
    if (local > directory.offset || directory.offset - local < kLocalSize || number(file, local, 4) != kLocal)
      fail(Fault::data, "{}: {}: expected its header at byte {}, found none", path_, m.name, local);
    const uint64_t local_name = number(file, local + 26, 2), local_extra = number(file, local + 28, 2);
    m.begin = local + kLocalSize + local_name + local_extra;
    if (m.begin > directory.offset || m.stored > directory.offset - m.begin)
      fail(Fault::data, "{}: {}: its {} bytes from byte {} on reach into the zip directory", path_, m.name,
           m.stored, m.begin);
    // The local header must agree with the directory, or two readers could see different contents.
    Member other{.name = {}, .stored = number(file, local + 18, 4), .size = number(file, local + 22, 4)};
    read_zip64(path_, m.name, file.substr(local + kLocalSize + local_name, local_extra),
               {&other.size, &other.stored});
    const bool later = (number(file, local + 6, 2) & kDescriptor) && other.stored == 0 && other.size == 0;
    if (file.substr(local + kLocalSize, local_name) != m.name || number(file, local + 8, 2) != method ||
        (!later && (other.stored != m.stored || other.size != m.size)))
      fail(Fault::data, "{}: {}: its header and the zip directory disagree", path_, m.name);
    if (!m.deflated && m.stored != m.size)
      fail(Fault::data, "{}: {}: stored without compression, but its size is {} of {} bytes", path_, m.name,
           m.size, m.stored);
    if (m.size > (uint64_t{1} << 60) - total)
      fail(Fault::data, "{}: {}: its size is {} bytes", path_, m.name, m.size);
    total += m.size;
    ranges.push_back({local, m.begin + m.stored});
    members_.push_back(std::move(m));
  }
  if (at != directory.end)
    fail(Fault::data, "{}: byte {}: bytes between the last member and the end of its zip directory", path_,
         at);
  std::sort(ranges.begin(), ranges.end());
  for (size_t i = 1; i < ranges.size(); ++i)
    if (ranges[i].first < ranges[i - 1].second)
      fail(Fault::data, "{}: byte {}: two of its members share bytes", path_, ranges[i].first);
  if (total > std::max(kFreely, kLargestRatio * content_.size()))
    fail(Fault::data, "{}: expected at most {} times its {} bytes, found members that claim {}", path_,
         kLargestRatio, content_.size(), total);
}

const Zip::Member* Zip::find(const std::string& name) const {
  for (const Member& m : members_)
    if (m.name == name) return &m;
  return nullptr;
}

std::string_view Zip::bytes(const Member& m) {
  const std::string_view raw = std::string_view(content_).substr(m.begin, m.stored);
  std::string_view out = raw;
  if (m.deflated) {
    const auto [slot, fresh] = inflated_.try_emplace(m.begin);
    std::string& text = slot->second;
    if (fresh) {
      const auto damaged = [&](const char* what) {
        inflated_.erase(m.begin);
        fail(Fault::data, "{}: {}: expected {} bytes, deflated; found {}; the file is damaged", path_, m.name,
             m.size, what);
      };
      z_stream stream{};
      if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw std::bad_alloc();
      size_t used = 0;
      int state = Z_OK;
      // The buffer grows with the inflated bytes, so a false size in the directory takes no memory.
      while (state == Z_OK) {
        constexpr size_t kStep = size_t{1} << 26;
        if (stream.avail_in == 0 && used < raw.size()) {
          const size_t n = std::min(kStep, raw.size() - used);
          stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(raw.data() + used));
          stream.avail_in = uInt(n), used += n;
        }
        const size_t done = text.size(), room = std::min<uint64_t>(kStep, m.size - done);
        text.resize(done + room);
        Bytef one = 0;  // room for one byte more, which shows whether the stream goes on beyond m.size
        stream.next_out = room ? reinterpret_cast<Bytef*>(text.data() + done) : &one;
        stream.avail_out = room ? uInt(room) : 1;
        state = inflate(&stream, Z_NO_FLUSH);
        if (room == 0 && stream.avail_out == 0) state = Z_MEM_ERROR;
        else text.resize(done + (room ? room - stream.avail_out : 0));
      }
      const bool whole = state == Z_STREAM_END && stream.avail_in == 0 && used == raw.size();
      inflateEnd(&stream);
      if (state == Z_MEM_ERROR) damaged("more");
      if (state != Z_STREAM_END) damaged("another kind of data or a cut one");
      if (!whole) damaged("bytes behind them");
      if (text.size() != m.size) damaged("fewer");
    }
    out = text;
  }
  if (!checked_.contains(m.begin)) {
    if (const uint32_t crc = crc_of(out); crc != m.crc)
      fail(Fault::data, "{}: {}: expected CRC {:08x}, found {:08x}; the file is damaged", path_, m.name,
           m.crc, crc);
    checked_.insert(m.begin);
  }
  return out;
}

namespace {

std::string little(uint64_t value, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += char(value >> (8 * i) & 255);
  return out;
}

std::string zip64_field(const std::string& numbers) {
  if (numbers.empty()) return {};
  return little(kZip64Field, 2).append(little(numbers.size(), 2)).append(numbers);
}

}  // namespace

void save_zip(const std::string& path, const std::vector<ZipPart>& parts) {
  write_file(path, [&](const auto& write_bytes) {
    uint64_t at = 0;
    const auto write = [&](std::string_view bytes) {
      write_bytes(bytes.data(), bytes.size()), at += bytes.size();
    };
    std::string directory;
    for (const ZipPart& part : parts) {
      uint64_t size = 0;
      uint32_t crc = 0;
      for (const std::string_view piece : part.pieces) size += piece.size(), crc = crc_of(piece, crc);
      const bool big = size >= k32, far = at >= k32;
      const auto common = [&](const std::string& extra, bool wide) {
        return little(wide ? kVersion64 : kVersion, 2) + little(0, 2) + little(kStored, 2) + little(0, 2) +
               little(kDate, 2) + little(crc, 4) + little(big ? k32 : size, 4) + little(big ? k32 : size, 4) +
               little(part.name.size(), 2) + little(extra.size(), 2);
      };
      const std::string sizes = big ? little(size, 8) + little(size, 8) : "";
      const std::string local = zip64_field(sizes), central = zip64_field(sizes + (far ? little(at, 8) : ""));
      directory += little(kDirectory, 4) + little(big || far ? kVersion64 : kVersion, 2) +
                   common(central, big || far) + little(0, 2) + little(0, 2) + little(0, 2) + little(0, 4) +
                   little(far ? k32 : at, 4) + part.name + central;
      write(little(kLocal, 4) + common(local, big) + part.name + local);
      for (const std::string_view piece : part.pieces) write(piece);
    }
    const uint64_t begin = at, count = parts.size();
    write(directory);
    const uint64_t end = at;
    if (begin >= k32 || directory.size() >= k32 || count >= k16)
      write(little(kEnd64, 4) + little(kEnd64Size - 12, 8) + little(kVersion64, 2) + little(kVersion64, 2) +
            little(0, 4) + little(0, 4) + little(count, 8) + little(count, 8) + little(directory.size(), 8) +
            little(begin, 8) + little(kLocator64, 4) + little(0, 4) + little(end, 8) + little(1, 4));
    write(little(kEnd, 4) + little(0, 2) + little(0, 2) + little(std::min(count, k16), 2) +
          little(std::min(count, k16), 2) + little(std::min<uint64_t>(directory.size(), k32), 4) +
          little(std::min(begin, k32), 4) + little(0, 2));
  });
}

}  // namespace dae
