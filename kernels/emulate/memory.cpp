// Global memory of the emulated device: protected pages, and the checks of addresses (memory.h).
#include "kernels/emulate/memory.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>

#include "kernels/emulate/cluster.h"

namespace dae {

namespace emulate {

namespace {

using Address = uintptr_t;

// With AddressSanitizer the memory comes from malloc instead, because its checks are finer than pages.
#ifdef __SANITIZE_ADDRESS__
constexpr bool kProtected = false;
#else
constexpr bool kProtected = true;
#endif

constexpr size_t kPage = 4096, kAlign = 256;
constexpr size_t kArenaBytes = size_t{1} << 42;  // reserved addresses without memory
constexpr size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

struct Allocation {
  Address begin = 0;
  size_t bytes = 0;
  Address pages = 0;  // the pages that are made accessible for it; the allocation is at their end
  size_t page_bytes = 0;
  int device = 0;
  bool freed = false;
  Address end() const { return begin + bytes; }
};

struct Memory {
  std::mutex mutex;
  Address begin = 0, next = 0;
  std::map<Address, Allocation> allocations;  // by their first page
  std::map<Address, size_t> pinned;

  bool has(Address p) const { return p - begin < kArenaBytes; }
  // Returns the last allocation whose pages begin at or before p, or null.
  Allocation* before(Address p) {
    auto next_one = allocations.upper_bound(p);
    return next_one == allocations.begin() ? nullptr : &std::prev(next_one)->second;
  }
  Allocation* of(Address p) {
    Allocation* a = before(p);
    return a && p >= a->begin && p < a->end() ? a : nullptr;
  }
};
Memory& memory() {
  static Memory* m = new Memory;  // never destroyed, because a fault may occur at the program's end
  return *m;
}

Address address(const void* p) { return reinterpret_cast<Address>(p); }
void protect(const Allocation& a, int how) {
  if (mprotect(reinterpret_cast<void*>(a.pages), a.page_bytes, how))
    fail(Fault::internal, "emulated device: {} bytes of memory cannot be protected", a.page_bytes);
}

// Returns the pattern for the bytes around an allocation on its pages. It is NaN in every type, and differs
// from the bytes of new memory.
const unsigned char* beside(Address p) {
  static const auto* pattern = [] {
    auto* bytes = new std::array<unsigned char, 2 * kPage>;
    for (size_t i = 0; i < bytes->size(); ++i) (*bytes)[i] = i % 2 ? 0xFF : 0xFE;
    return bytes;
  }();
  return pattern->data() + p % 2;
}
template <class F>
void each_part_beside(const Allocation& a, F f) {
  f(a.pages, a.begin - a.pages);
  f(a.end(), a.pages + a.page_bytes - a.end());
}
void fill_beside(const Allocation& a) {
  each_part_beside(a, [](Address p, size_t n) { std::memcpy(reinterpret_cast<void*>(p), beside(p), n); });
}
// Returns the address of the first byte around the allocation that was written, or 0.
Address written_beside(const Allocation& a) {
  Address found = 0;
  each_part_beside(a, [&](Address p, size_t n) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(p);
    if (!found && std::memcmp(bytes, beside(p), n))
      found = address(std::mismatch(bytes, bytes + n, beside(p)).first);
  });
  return found;
}

std::string where(const Allocation& a, Address p) {
  const auto distance = p >= a.begin ? int64_t(p - a.begin) : -int64_t(a.begin - p);
  return fmt::format("byte {} of {} {} bytes of device {}", distance,
                     a.freed ? "a freed allocation of" : "an allocation of", a.bytes, a.device);
}
// Describes an address of the arena by the allocation nearest to it.
std::string where(Address p) {
  Memory& m = memory();
  Allocation* a = m.before(p);
  if (!a || p >= a->end())
    if (auto after = m.allocations.upper_bound(p);
        after != m.allocations.end() && (!a || after->second.begin - p < p - a->end()))
      a = &after->second;
  return a ? where(*a, p) : "no allocation";
}

// ---- accesses to protected pages -------------------------------------------------------------------------

struct sigaction others_fault;  // the previous handler, for faults outside the arena

void on_fault(int number, siginfo_t* info, void* context) {
  const Address p = address(info->si_addr);
  if (!memory().has(p)) {  // the instruction faults again, with the previous handler
    sigaction(number, &others_fault, nullptr);
    return;
  }
  const char* verb = "touches";
#ifdef __x86_64__
  verb = static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_ERR] & 2 ? "writes" : "reads";
#else
  (void)context;
#endif
  if (now) abandon(fmt::format("{} {}", verb, where(p)));
  const std::string line = fmt::format(
      "dae: emulated device: the host's code {} {}; expected a download, an upload or a kernel to do so\n",
      verb, where(p));
  [[maybe_unused]] const auto written = write(STDERR_FILENO, line.data(), line.size());
  _exit(int(Fault::internal));
}

void reserve(Memory& m) {
  void* arena = mmap(nullptr, kArenaBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (arena == MAP_FAILED) fail(Fault::internal, "emulated device: no addresses for its memory");
  m.begin = address(arena), m.next = m.begin + kPage;
  struct sigaction action {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;  // the handler does not return when a kernel faults
  sigaction(SIGSEGV, &action, &others_fault);
}

// Returns whether a word is an address of memory that the host can write. The upper bits exclude most words
// without a search of the memory map.
bool is_hosts(Address word) {
  static char of_program;
  static const Address of_heap = address(std::malloc(1)), of_map = [] {
    return address(mmap(nullptr, kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  }();
  const auto near = [&](Address known) { return word >> 40 == known >> 40; };
  if (!near(address(&word)) && !near(address(&of_program)) && !near(of_heap) && !near(of_map)) return false;
  std::FILE* maps = std::fopen("/proc/self/maps", "r");
  if (!maps) return false;
  bool found = false;
  char line[4096];
  unsigned long begin, end;
  char rights[5];
  while (!found && std::fgets(line, sizeof line, maps))
    found = std::sscanf(line, "%lx-%lx %4s", &begin, &end, rights) == 3 && word >= begin && word < end &&
            rights[1] == 'w';
  std::fclose(maps);
  return found;
}

template <class F>
void each_word(const void* argument, size_t bytes, F f) {
  for (size_t i = 0; i + sizeof(Address) <= bytes; i += sizeof(Address)) {
    Address word;
    std::memcpy(&word, static_cast<const char*>(argument) + i, sizeof word);
    f(word);
  }
}

bool is_pinned(Memory& m, Address p) {
  const auto after = m.pinned.upper_bound(p);
  return after != m.pinned.begin() && p < std::prev(after)->first + std::prev(after)->second;
}

}  // namespace

void* allocate_memory(int device, size_t bytes) {
  if (!kProtected) {  // of the exact size, so that AddressSanitizer finds every access beyond it
    void* data = nullptr;
    if (posix_memalign(&data, kAlign, bytes)) return nullptr;
    return std::memset(data, 0xFF, bytes);
  }
  Memory& m = memory();
  std::lock_guard lock(m.mutex);
  if (!m.begin) reserve(m);
  Allocation a{.bytes = bytes, .pages = m.next, .device = device};
  a.page_bytes = round_up(std::max<size_t>(bytes, 1), kPage);
  if (bytes > kArenaBytes || a.pages + a.page_bytes + kPage > m.begin + kArenaBytes) return nullptr;
  a.begin = a.pages + a.page_bytes - round_up(bytes, kAlign);
  protect(a, PROT_READ | PROT_WRITE);
  std::memset(reinterpret_cast<void*>(a.begin), 0xFF, bytes);
  fill_beside(a);
  protect(a, PROT_NONE);
  m.next = a.pages + a.page_bytes + kPage;
  m.allocations.emplace(a.pages, a);
  return reinterpret_cast<void*>(a.begin);
}

void release_memory(void* data) {
  if (!kProtected) return std::free(data);
  Memory& m = memory();
  std::lock_guard lock(m.mutex);
  Allocation* a = m.of(address(data));
  if (!a || a->begin != address(data) || a->freed)
    fail(Fault::internal, "emulated device: a release of {}; expected the begin of an allocation",
         a ? where(*a, address(data)) : "memory of the host");
  a->freed = true;
  madvise(reinterpret_cast<void*>(a->pages), a->page_bytes, MADV_DONTNEED);
}

void* allocate_pinned(size_t bytes) {
  void* data = std::aligned_alloc(kPage, round_up(std::max<size_t>(bytes, 1), kPage));
  Memory& m = memory();
  std::lock_guard lock(m.mutex);
  if (data) m.pinned[address(data)] = bytes;
  return data;
}

void require_memory(const char* what, const void* data, size_t bytes, int device) {
  if (!kProtected || !bytes) return;
  Memory& m = memory();
  std::lock_guard lock(m.mutex);
  const Address p = address(data);
  if (!m.has(p)) fail(Fault::internal, "{}: memory of the host; expected memory of device {}", what, device);
  const Allocation* a = m.of(p);
  if (!a || a->freed || a->device != device || bytes > a->end() - p)
    fail(Fault::internal, "{}: {} bytes from {} on; expected them within one of device {}", what, bytes,
         a ? where(*a, p) : where(p), device);
}
void require_host(const char* what, const void* data) {
  Memory& m = memory();
  std::lock_guard lock(m.mutex);
  if (kProtected && m.has(address(data)))
    fail(Fault::internal, "{}: {}; expected memory of the host", what, where(address(data)));
}

void find_addresses(const char* kernel, const void* argument, size_t bytes, int device,
                    std::vector<const void*>& found) {
  if (!kProtected) return;
  Memory& m = memory();
  std::lock_guard lock(m.mutex);
  each_word(argument, bytes, [&](Address word) {
    if (!m.begin || !m.has(word)) return;
    found.push_back(reinterpret_cast<const void*>(word));
    if (const Allocation* a = m.of(word); a && !a->freed && a->device != device)
      fail(Fault::internal, "kernel {}: an argument holds {}, and it runs on device {}", kernel,
           where(*a, word), device);
  });
}

void refuse_host_addresses(const char* kernel, const void* argument, size_t bytes) {
  if (!kProtected) return;
  Memory& m = memory();
  std::lock_guard lock(m.mutex);
  each_word(argument, bytes, [&](Address word) {
    if ((!m.begin || !m.has(word)) && !is_pinned(m, word) && is_hosts(word))
      fail(Fault::internal, "kernel {}: an argument holds {:#x}, an address of the host's memory", kernel,
           word);
  });
}

void with_memory(const char* what, const std::vector<const void*>& addresses,
                 const std::function<void()>& work) {
  if (!kProtected) return work();
  std::vector<Allocation*> given;
  {
    Memory& m = memory();
    std::lock_guard lock(m.mutex);
    for (const void* p : addresses)
      if (Allocation* a = m.of(address(p)); a && !a->freed) given.push_back(a);
  }
  std::sort(given.begin(), given.end());
  given.erase(std::unique(given.begin(), given.end()), given.end());
  struct Opened {
    const std::vector<Allocation*>& all;
    explicit Opened(const std::vector<Allocation*>& all) : all(all) {
      for (const Allocation* a : all) protect(*a, PROT_READ | PROT_WRITE);
    }
    ~Opened() {
      for (const Allocation* a : all) protect(*a, PROT_NONE);
    }
  } opened(given);
  work();
  for (const Allocation* a : given)
    if (const Address p = written_beside(*a)) {
      fill_beside(*a);
      fail(Fault::internal, "{} wrote {}", what, where(*a, p));
    }
}

}  // namespace emulate

}  // namespace dae
