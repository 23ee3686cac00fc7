// Zip archives as NumPy and PyTorch use them: members stored or deflated, zip64 for sizes beyond 4 GiB. The
// reader does not trust the file. It checks what the directory says of a member against the file, the
// member's own header and all other members before it uses it.
#pragma once
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace dae {

class Zip {
 public:
  struct Member {
    std::string name;
    bool deflated = false;
    uint32_t crc = 0;
    uint64_t begin = 0, stored = 0;  // where its bytes begin in the file, and their number there
    uint64_t size = 0;               // its bytes once inflated
  };
  // Reads the directory. Fault::data, one line with the file and the member, for a damaged archive, members
  // that share bytes, occur twice or are encrypted, and a directory whose members have together more than 100
  // times the bytes of the file and more than 1 GiB.
  explicit Zip(const std::string& path);
  Zip(std::string path, std::string content);  // for a file already read
  Zip(const Zip&) = delete;

  const std::string& path() const { return path_; }
  const std::vector<Member>& members() const { return members_; }  // in the order of the directory
  const Member* find(const std::string& name) const;               // null: there is none
  // Returns the bytes of a member. The first call inflates them and checks their CRC. They live as long as
  // the Zip. Fault::data if they are damaged.
  std::string_view bytes(const Member& member);

 private:
  std::string path_, content_;
  std::vector<Member> members_;
  std::map<uint64_t, std::string> inflated_;  // by Member::begin
  std::set<uint64_t> checked_;                // by Member::begin: its CRC was checked
};

struct ZipPart {
  std::string name;
  std::vector<std::string_view> pieces;  // the bytes of the member, in pieces one after another
};
// Writes an archive, whole or not at all (file.h). Its members are stored without compression and dated
// 1980-01-01, so the same content always makes the same file.
void save_zip(const std::string& path, const std::vector<ZipPart>& parts);

inline bool is_zip(std::string_view content) { return content.substr(0, 4) == "PK\3\4"; }

}  // namespace dae
