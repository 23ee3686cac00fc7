#include "data/files/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "kernels/device/error.h"

namespace dae {

namespace {

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

}  // namespace

// O_NONBLOCK: opening a pipe must not wait for a writer.
std::string read_file(const std::string& path, int64_t limit) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  struct stat info {};
  if (file.fd < 0 || ::fstat(file.fd, &info) != 0)
    fail(Fault::data, "{}: cannot be read: {}", path, std::strerror(errno));
  if (!S_ISREG(info.st_mode)) fail(Fault::data, "{}: expected a file, found something else", path);
  if (info.st_size > limit)
    fail(Fault::data, "{}: expected at most {} bytes, found {}", path, limit, int64_t(info.st_size));
  std::string content(size_t(info.st_size), '\0');
  size_t done = 0;
  while (done < content.size()) {
    const ssize_t n = ::read(file.fd, content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0)
      fail(Fault::data, "{}: reading stopped at byte {}: {}", path, done,
           n ? std::strerror(errno) : "end of file");
    done += size_t(n);
  }
  return content;
}

uint32_t crc_of(std::string_view bytes, uint32_t start) {
  if (bytes.empty()) return start;  // zlib takes a null pointer for a request of the initial value
  return uint32_t(crc32_z(start, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

void make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error && !std::filesystem::is_directory(path))
    error = std::make_error_code(std::errc::not_a_directory);
  if (error)
    fail(Fault::data, "{}: expected a folder that can be written, found: {}; choose another", path,
         error.message());
}

void prepare_output(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored))
    fail(Fault::data, "{}: expected the name of a file to write, found a folder", path);
  if (const std::string folder = std::filesystem::path(path).parent_path().string(); !folder.empty())
    make_folder(folder);
  const std::string temporary = path + ".tmp";
  const Descriptor file{::open(temporary.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644)};
  if (file.fd < 0)
    fail(Fault::data, "{}: cannot be written: {}; choose a folder you can write to", path,
         std::strerror(errno));
  ::unlink(temporary.c_str());
}

void write_file(const std::string& path,
                const std::function<void(const std::function<void(const void*, size_t)>&)>& fill) {
  const std::string temporary = path + ".tmp";
  Descriptor file{::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)};
  if (file.fd < 0)
    fail(Fault::data, "{}: cannot be written: {}; choose a folder you can write to", path,
         std::strerror(errno));
  auto give_up = [&](int reason) {
    ::unlink(temporary.c_str());
    fail(Fault::data, "{}: cannot be written: {}; nothing was changed", path, std::strerror(reason));
  };
  fill([&](const void* bytes, size_t count) {
    const char* p = static_cast<const char*>(bytes);
    while (count) {
      const ssize_t n = ::write(file.fd, p, count);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) give_up(errno);
      p += n, count -= size_t(n);
    }
  });
  if (::fsync(file.fd) != 0 || ::rename(temporary.c_str(), path.c_str()) != 0) give_up(errno);
  const std::string folder = std::filesystem::path(path).parent_path().string();
  Descriptor parent{::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (parent.fd >= 0) ::fsync(parent.fd);
}

void write_file(const std::string& path, std::string_view content) {
  write_file(path, [&](const auto& write) { write(content.data(), content.size()); });
}

}  // namespace dae
