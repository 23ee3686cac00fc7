// Zip archives, as NumPy and PyTorch use them: members stored or deflated, sizes beyond 4 GiB by zip64. The
// reader treats the file as hostile: what the directory says of a member is checked against the file, against
// the member's own header and against every other member before anything is used.
#pragma once
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

class Zip {
 public:
  struct Member {
    std::string name;
    bool deflated = false;
    uint32_t crc = 0;
    uint64_t begin = 0, stored = 0;  // where its bytes lie in the file, and how many they are
    uint64_t size = 0;               // inflated
  };
  // Fault::data, one line with the file and the member. Members that share bytes, stand twice or are
  // encrypted are refused, and directories that claim more than 100 times the file (from 1 GiB on).
  explicit Zip(const std::string& path);
  Zip(std::string path, std::string content);  // of a file already read
  Zip(const Zip&) = delete;

  const std::string& path() const { return path_; }
  const std::vector<Member>& members() const { return members_; }  // in the order of the directory
  const Member* find(const std::string& name) const;               // null: there is none
  // Its bytes, inflated and compared with their CRC at the first call; they live as long as the Zip.
  std::string_view bytes(const Member& member);

 private:
  std::string path_, content_;
  std::vector<Member> members_;
  std::map<uint64_t, std::string> inflated_;  // by Member::begin
  std::set<uint64_t> checked_;                // CRC
};

struct ZipPart {
  std::string name;
  std::vector<std::string_view> pieces;  // its bytes, one piece after another
};
// Members stored, dated 1980-01-01, so that the same content makes the same file. Written whole or not at all
// (file.h).
void save_zip(const std::string& path, const std::vector<ZipPart>& parts);

inline bool is_zip(std::string_view content) { return content.substr(0, 4) == "PK\3\4"; }
