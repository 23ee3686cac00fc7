#include <omp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "kernels/device.h"
#include "kernels/philox.h"
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifndef __x86_64__
#include <ucontext.h>
#endif

// ---- switching between fibers
// -------------------------------------------------------------------------------

#ifdef __x86_64__
// Saves what a called function has to keep, changes stacks, takes it back from the other stack.
extern "C" void emulate_switch(void** from, void* to);
asm(R"(.text
.globl emulate_switch
.type emulate_switch, @function
emulate_switch:
  pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
  ret
.size emulate_switch, .-emulate_switch
)");
#endif

namespace emulate {

thread_local const Place* place = nullptr;

namespace {

struct Context {
#ifdef __x86_64__
  void* stack_pointer = nullptr;
#else
  ucontext_t state;
#endif
  const char* stack = nullptr;
  size_t stack_bytes = 0;

  void start(char* bottom, size_t bytes, void (*entry)()) {
    stack = bottom, stack_bytes = bytes;
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(bottom, bytes);  // of the thread that had it before
#endif
#ifdef __x86_64__
    void** top = reinterpret_cast<void**>(bottom + bytes) - 1;  // where a function expects its return address
    top[0] = nullptr;
    *--top = reinterpret_cast<void*>(entry);
    for (int i = 0; i < 6; ++i) *--top = nullptr;
    stack_pointer = top;
#else
    getcontext(&state);
    state.uc_stack.ss_sp = bottom, state.uc_stack.ss_size = bytes, state.uc_link = nullptr;
    makecontext(&state, entry, 0);
#endif
  }
};

void switch_context(Context& from, Context& to) {
#ifdef __SANITIZE_ADDRESS__
  void* fake = nullptr;
  __sanitizer_start_switch_fiber(&fake, to.stack, to.stack_bytes);
#endif
#ifdef __x86_64__
  emulate_switch(&from.stack_pointer, to.stack_pointer);
#else
  swapcontext(&from.state, &to.state);
#endif
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
}

// ---- what a running cluster consists of
// ---------------------------------------------------------------------

constexpr int64_t kBlockBytes = 256 << 10;  // addresses of a block's shared memory
constexpr int64_t kMaxShared = 227 << 10;   // what a block may have (sm_90)
constexpr int kGranule = 16;                // bytes whose last writer is known
constexpr size_t kStackBytes = 128 << 10;

struct Thread;
struct Gate {  // threads that wait for the same thing
  Thread* first = nullptr;
};

struct Copy {  // cp.async
  void* to;
  const void* from;
  int bytes;
  int64_t group;
};
struct Store {  // TMA to global memory
  TensorMap map;
  const unsigned char* from;
  int at[5];
  int64_t group;
};

struct Block;
struct Thread : Place {
  Context context;
  Block* in = nullptr;
  int rank = 0, index = 0;  // in the block; in the cluster
  bool done = false;
  Thread* next_waiting = nullptr;
  const char* waits_for = nullptr;
  Line line;
  std::vector<Copy> copies;
  std::vector<Store> stores;
  int64_t copy_group = 0, store_group = 0;
  uint64_t fence_time = 0, sync_time = 0;  // its last proxy fence, and barrier of any kind
  unsigned char* access = nullptr;         // the element that it may be about to write
  int access_bytes = 0;
  unsigned char before[16];
};

struct Meeting {
  const char* what;
  uint32_t mask, arrived;
  void* lanes[32];
  Compute compute;
  Line line;
  Gate gate;
};

struct WgmmaOp {
  int n;
  float* d[32];
  std::vector<float> a;  // (16, 16), if it came from registers
  uint64_t a_descriptor, b_descriptor;
  bool a_transposed, b_transposed, bfloat, accumulate;
  int row;         // of this warp's 16 in the product
  int64_t number;  // counts the wgmma of a warp
  bool done = false;
};
struct Accumulator {
  float* key;  // lane 0's registers
  float* d[32];
  int n;
  std::vector<float> value;  // (16, n)
};

struct Warp {
  uint32_t present = 0, exited = 0;
  std::deque<Meeting> meetings;
  bool fenced = false;  // wgmma_fence since the last wait
  std::vector<WgmmaOp> open;
  std::deque<std::vector<WgmmaOp>> committed;
  std::vector<Accumulator> accumulators;
  int64_t wgmmas = 0;
};

struct Barrier {
  int arrived = 0, expected = 0, votes = 0, result = 0;
  const char* what = nullptr;
  Line line;
  Thread* by = nullptr;
  Gate gate;
};

struct Mbar {
  Mbarrier* at;
  int count, pending, phase = 0;
  int64_t bytes = 0;  // expected and not yet there
  Thread* by;
  uint64_t time;  // of its initialisation
  Gate gate;
};

struct Written {
  uint64_t time = 0;
  Thread* by = nullptr;
};

struct Block {
  dim3 index;
  int rank = 0, threads = 0, ended = 0;
  unsigned char* shared = nullptr;
  int64_t dynamic_bytes = 0, used = 0;
  std::vector<std::pair<const void*, int64_t>> statics;
  std::vector<Warp> warps;
  Barrier barriers[16];
  std::deque<Mbar> mbarriers;
  Gate wgmma_gates[8];  // a warpgroup's: warps that wait for the others
  std::vector<Written> written = std::vector<Written>(kBlockBytes / kGranule);
  uint64_t start = 0, fence_covers = 0;
};

struct Inbound {  // TMA from global memory
  TensorMap map;
  unsigned char* to;
  int at[5];
  Mbar* barrier;
  int64_t bytes;
};

struct Settings {
  Schedule schedule = Schedule::round_robin;
  uint64_t seed = 0;
  Copies copies = Copies::late;
  int capability = 90;
};
Settings from_environment() {
  Settings s;
  if (const char* copies = std::getenv("DAE_COPIES")) {
    const std::string text = copies;
    if (text != "early" && text != "late")
      fail(Fault::usage, "DAE_COPIES: expected early or late, found \"{}\"", text);
    s.copies = text == "early" ? Copies::early : Copies::late;
  }
  const char* value = std::getenv("DAE_SCHEDULE");
  if (!value) return s;
  const std::string text = value, name = text.substr(0, text.find(':'));
  const char* names[] = {"round_robin", "reverse", "one_warp_first", "random"};
  for (int i = 0; i < 4; ++i)
    if (name == names[i]) {
      s.schedule = kSchedules[i];
      if (text.size() > name.size()) s.seed = std::strtoull(text.c_str() + name.size() + 1, nullptr, 10);
      return s;
    }
  fail(Fault::usage,
       "DAE_SCHEDULE: expected round_robin, reverse, one_warp_first or random:SEED, found \"{}\"", text);
}
Settings& settings() {
  static Settings s = from_environment();
  return s;
}

struct Worker;
thread_local Worker* worker = nullptr;
thread_local Thread* now = nullptr;

[[noreturn]] void stop(Line line, const std::string& what);
std::string at(const Line& line) { return fmt::format("{}:{}", line.file_name(), line.line()); }
std::string name(const dim3& i) { return fmt::format("({}, {}, {})", i.x, i.y, i.z); }

void fiber_entry();

struct Worker {
  const char* kernel_name = "";
  const std::function<void()>* kernel = nullptr;
  Settings set;
  Context main;
  std::vector<std::unique_ptr<Block>> blocks;
  std::deque<Thread> threads;
  int thread_count = 0, ended = 0;
  std::vector<uint64_t> runnable;  // a bit a thread
  std::vector<Inbound> inbound;
  Barrier cluster_barrier;
  std::exception_ptr error;
  uint64_t clock = 1, draws = 0, stream = 0;
  unsigned char* arena = nullptr;
  int arena_blocks = 0;
  char* stacks = nullptr;
  int stack_count = 0;

  ~Worker() {
    if (arena) munmap(arena, size_t(arena_blocks) * kBlockBytes);
    if (stacks) munmap(stacks, size_t(stack_count) * kStackBytes);
  }

  uint32_t draw() { return random_bits(Key{set.seed, uint32_t(stream), uint32_t(stream >> 32)}, draws++); }

  void make_runnable(Thread* t) { runnable[size_t(t->index / 64)] |= uint64_t{1} << (t->index % 64); }
  void wake(Gate& gate) {
    for (Thread* t = gate.first; t;) {
      Thread* next = t->next_waiting;
      t->next_waiting = nullptr, t->waits_for = nullptr;
      make_runnable(t);
      t = next;
    }
    gate.first = nullptr;
  }

  // The first runnable thread at or after `from`, going round; -1 if there is none.
  int next_runnable(int from) const {
    const int words = int(runnable.size());
    int w = from / 64;
    uint64_t bits = runnable[size_t(w)] & ~uint64_t{0} << (from % 64);
    for (int i = 0; i <= words; ++i) {
      if (bits) return w * 64 + std::countr_zero(bits);
      w = (w + 1) % words;
      bits = runnable[size_t(w)];
    }
    return -1;
  }
  int previous_runnable(int from) const {  // at or before `from`
    const int words = int(runnable.size());
    int w = from / 64;
    uint64_t bits = runnable[size_t(w)] & ~uint64_t{0} >> (63 - from % 64);
    for (int i = 0; i <= words; ++i) {
      if (bits) return w * 64 + 63 - std::countl_zero(bits);
      w = (w + words - 1) % words;
      bits = runnable[size_t(w)];
    }
    return -1;
  }
  int pick() {
    const int last = now->index, n = thread_count;
    switch (set.schedule) {
      case Schedule::round_robin:
        return next_runnable((last + 1) % n);
      case Schedule::reverse:
        return previous_runnable((last + n - 1) % n);
      case Schedule::one_warp_first: {
        const int first = last / 32 * 32, in_warp = next_runnable(last);
        if (in_warp >= last && in_warp < first + 32) return in_warp;
        const int from_start = next_runnable(first);
        return from_start >= first && from_start < first + 32 ? from_start : next_runnable(0);
      }
      case Schedule::random:
        return next_runnable(int(draw() % uint32_t(n)));
    }
    return -1;
  }

  void go_to(Thread* next) {
    Thread* from = now;
    if (next == from) return;
    now = next, place = next;
    switch_context(from->context, next->context);
  }
  void next() {
    int i = pick();
    while (i < 0 && deliver_one()) i = pick();
    if (i < 0) stop_deadlock();
    go_to(&threads[size_t(i)]);
  }
  void wait_at(Gate& gate, const char* what, Line line) {
    now->waits_for = what, now->line = line;
    now->next_waiting = gate.first, gate.first = now;
    runnable[size_t(now->index / 64)] &= ~(uint64_t{1} << (now->index % 64));
    next();
  }

  bool deliver_one();
  void deliver(size_t i);
  [[noreturn]] void stop_deadlock();
  void run(int64_t cluster, const dim3& grid, unsigned blocks_of_cluster, const dim3& block, int64_t shared);
};

[[noreturn]] void stop(Line line, const std::string& what) {
  throw Error(Fault::internal, fmt::format("kernel {}: block {}, thread {}, {}: {}", worker->kernel_name,
                                           name(now->block), name(now->thread), at(line), what));
}

// Did the thread write the element that it accessed last?
void settle() {
  Thread& t = *now;
  if (!t.access) return;
  unsigned char* access = t.access;
  t.access = nullptr;
  if (std::memcmp(access, t.before, size_t(std::min(t.access_bytes, 16)))) written(access, t.access_bytes);
}
void synchronised() { now->sync_time = ++worker->clock; }

Block& block_of(const void* p, Line line) {
  const int64_t offset = static_cast<const unsigned char*>(p) - worker->arena;
  if (offset < 0 || offset >= int64_t(worker->blocks.size()) * kBlockBytes)
    stop(line, "an address outside the shared memory of the cluster");
  return *worker->blocks[size_t(offset / kBlockBytes)];
}

// Stops unless the async proxy sees what was written to these bytes of shared memory.
void require_fence(const void* p, int64_t bytes, const char* what, Line line) {
  Block& b = block_of(p, line);
  const int64_t begin = static_cast<const unsigned char*>(p) - b.shared;
  for (int64_t g = begin / kGranule; g <= (begin + bytes - 1) / kGranule; ++g) {
    const Written& w = b.written[size_t(g)];
    if (w.time <= b.start || w.by->fence_time > w.time || b.fence_covers > w.time) continue;
    stop(line, fmt::format("{} uses shared memory that thread {} wrote, with no fence_proxy_async between",
                           what, name(w.by->thread)));
  }
}

void flip_if_over(Mbar& m) {
  if (m.pending > 0 || m.bytes != 0) return;
  m.phase ^= 1, m.pending = m.count;
  worker->wake(m.gate);
}

constexpr uint64_t kMbarrierMark = 0x6d62'6172'0000'0000;
Mbar& mbar_of(void* p, Line line) {
  Block& b = block_of(p, line);
  const uint64_t mark = *static_cast<Mbarrier*>(p), index = mark & 0xffffffff;
  if ((mark >> 32) != (kMbarrierMark >> 32) || index >= b.mbarriers.size() || b.mbarriers[index].at != p)
    stop(line, "not an initialised mbarrier, or one that was overwritten");
  return b.mbarriers[index];
}

// The row-major boxes of TMA: calls f(bytes of shared memory, bytes of the tensor or null outside, count).
template <class F>
void each_chunk(const TensorMap& map, unsigned char* shared, const int* at, F f) {
  const int last = map.rank - 1, row_bytes = map.box[last] * map.element_bytes;
  int64_t rows = 1;
  for (int d = 0; d < last; ++d) rows *= map.box[d];
  const int mask = map.swizzle;
  for (int64_t r = 0; r < rows; ++r) {
    bool inside = true;
    const unsigned char* row = map.data;
    for (int64_t d = last - 1, rest = r; d >= 0; rest /= map.box[d--]) {
      const int64_t i = at[d] + rest % map.box[d] * map.step[d];
      inside = inside && i >= 0 && i < map.shape[d];
      row += i * map.stride_bytes[d];
    }
    for (int b = 0; b < row_bytes; b += map.element_bytes) {
      const int64_t i = at[last] + int64_t(b / map.element_bytes) * map.step[last];
      const int64_t address = shared - worker->arena + r * row_bytes + b;
      unsigned char* s = worker->arena + (address ^ ((address >> 7 & mask) << 4));
      f(s, inside && i >= 0 && i < map.shape[last] ? const_cast<unsigned char*>(row) + i * map.element_bytes
                                                   : nullptr);
    }
  }
}
int64_t box_bytes(const TensorMap& map) {
  int64_t bytes = map.element_bytes;
  for (int d = 0; d < map.rank; ++d) bytes *= map.box[d];
  return bytes;
}
void require_box(const TensorMap& map, const void* p, int64_t has, int rank, const char* what, Line line) {
  if (rank != map.rank)
    stop(line, fmt::format("{} with {} coordinates of a tensor map of rank {}", what, rank, map.rank));
  require(p, has, box_bytes(map), 128, what, line);
}

void Worker::deliver(size_t i) {
  const Inbound copy = inbound[i];
  inbound.erase(inbound.begin() + std::ptrdiff_t(i));
  const int bytes = copy.map.element_bytes;
  each_chunk(copy.map, copy.to, copy.at, [bytes](unsigned char* s, unsigned char* global) {
    if (global) std::memcpy(s, global, size_t(bytes));
    else std::memset(s, 0, size_t(bytes));
  });
  copy.barrier->bytes -= copy.bytes;
  flip_if_over(*copy.barrier);
}

bool Worker::deliver_one() {
  std::vector<size_t> awaited;
  for (size_t i = 0; i < inbound.size(); ++i)
    if (inbound[i].barrier->gate.first) awaited.push_back(i);
  if (awaited.empty()) return false;
  deliver(set.schedule == Schedule::reverse  ? awaited.back()
          : set.schedule == Schedule::random ? awaited[draw() % awaited.size()]
                                             : awaited.front());
  return true;
}

void Worker::stop_deadlock() {
  struct Group {
    Thread* first;
    int count;
  };
  std::vector<Group> groups;
  for (int i = 0; i < thread_count; ++i) {
    Thread& t = threads[size_t(i)];
    if (t.done || !t.waits_for) continue;
    const auto same = [&](const Group& g) {
      return g.first->in == t.in && g.first->line.line() == t.line.line() &&
             !std::strcmp(g.first->line.file_name(), t.line.file_name());
    };
    const auto found = std::find_if(groups.begin(), groups.end(), same);
    if (found == groups.end()) groups.push_back({&t, 1});
    else ++found->count;
  }
  std::string text = "deadlock:";
  for (const Group& g : groups)
    text += fmt::format("{} {} of block {}, the first {}, wait at {} for {}", &g == &groups[0] ? "" : ";",
                        g.count, name(g.first->block), name(g.first->thread), at(g.first->line),
                        g.first->waits_for);
  for (const auto& b : blocks)
    for (const Mbar& m : b->mbarriers)
      if (m.gate.first)
        text += fmt::format("; the mbarrier of {} lacks {} arrivals and {} bytes", name(m.gate.first->thread),
                            m.pending, m.bytes);
  const Thread& t = *groups.at(0).first;
  throw Error(Fault::internal, fmt::format("kernel {}: block {}, thread {}, {}: {}", kernel_name,
                                           name(t.block), name(t.thread), at(t.line), text));
}

// ---- a cluster from start to end
// ----------------------------------------------------------------------------

void complete_if_all(Warp& w, Meeting& m) {
  if (m.mask & ~(m.arrived | w.exited)) return;
  m.compute(m.lanes);
  worker->wake(m.gate);
  m.mask = 0;
  while (!w.meetings.empty() && w.meetings.front().mask == 0) w.meetings.pop_front();
}

void end_of_thread() {
  settle();
  Thread& t = *now;
  Block& b = *t.in;
  Warp& w = b.warps[size_t(t.rank / 32)];
  if (!t.stores.empty()) stop(t.line, "the thread ends before tma_store_wait<0>");
  if (!w.open.empty() || !w.committed.empty()) stop(t.line, "the thread ends before wgmma_wait<0>");
  if (const Barrier& s = b.barriers[0]; s.arrived)
    stop(s.line, fmt::format("divergent barrier: the thread ended while {} wait there in {}, the first {}",
                             s.arrived, s.what, name(s.by->thread)));
  ++b.ended, ++worker->ended;
  t.done = true;
  worker->runnable[size_t(t.index / 64)] &= ~(uint64_t{1} << (t.index % 64));
  w.exited |= 1u << (t.rank % 32);
  for (size_t i = 0; i < w.meetings.size(); ++i)
    if (w.meetings[i].mask) {
      complete_if_all(w, w.meetings[i]);
      break;
    }
  if (b.ended < b.threads) return;
  for (const Inbound& i : worker->inbound)
    if (&block_of(i.to, t.line) == &b)
      stop(t.line, "the block ends before a tma_load into it was waited for");
  for (size_t g = 0; g + 4 <= b.warps.size(); g += 4)
    for (size_t i = g + 1; i < g + 4; ++i)
      if (b.warps[i].wgmmas != b.warps[g].wgmmas)
        stop(t.line, fmt::format("warps {} and {} of a warpgroup ran {} and {} wgmma", g, i,
                                 b.warps[g].wgmmas, b.warps[i].wgmmas));
}

void fiber_entry() {
  Worker& w = *worker;
#ifdef __SANITIZE_ADDRESS__
  const void* bottom = nullptr;
  size_t bytes = 0;
  __sanitizer_finish_switch_fiber(nullptr, &bottom, &bytes);
  if (!w.main.stack) w.main.stack = static_cast<const char*>(bottom), w.main.stack_bytes = bytes;
#endif
  try {
    (*w.kernel)();
    end_of_thread();
    if (w.ended < w.thread_count) w.next();
  } catch (...) { w.error = std::current_exception(); }
  place = nullptr;
  switch_context(now->context, w.main);
}

void Worker::run(int64_t cluster, const dim3& grid, unsigned blocks_of_cluster, const dim3& block,
                 int64_t shared) {
  const int block_threads = int(block.x * block.y * block.z);
  thread_count = block_threads * int(blocks_of_cluster);
  if (arena_blocks < int(blocks_of_cluster)) {
    if (arena) munmap(arena, size_t(arena_blocks) * kBlockBytes);
    arena_blocks = int(blocks_of_cluster);
    void* p = mmap(nullptr, size_t(arena_blocks) * kBlockBytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) fail(Fault::internal, "emulated device: no memory for {} blocks", arena_blocks);
    arena = static_cast<unsigned char*>(p);
  }
  if (stack_count < thread_count) {
    if (stacks) munmap(stacks, size_t(stack_count) * kStackBytes);
    stack_count = thread_count;
    void* p = mmap(nullptr, size_t(stack_count) * kStackBytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) fail(Fault::internal, "emulated device: no memory for {} threads", stack_count);
    stacks = static_cast<char*>(p);
    for (int i = 0; i < stack_count; ++i)  // an overflow faults at once
      mprotect(stacks + size_t(i) * kStackBytes, size_t(sysconf(_SC_PAGESIZE)), PROT_NONE);
  }
  while (blocks.size() < blocks_of_cluster) blocks.push_back(std::make_unique<Block>());
  blocks.resize(blocks_of_cluster);
  while (int(threads.size()) < thread_count) threads.emplace_back();
  stream = uint64_t(cluster), draws = 0;
  ended = 0, error = nullptr;
  inbound.clear();
  cluster_barrier = {};
  runnable.assign(size_t(thread_count + 63) / 64, 0);
  const unsigned along_x = grid.x / blocks_of_cluster;
  for (unsigned r = 0; r < blocks_of_cluster; ++r) {
    Block& b = *blocks[r];
    b.index = dim3(unsigned(cluster % along_x) * blocks_of_cluster + r, unsigned(cluster / along_x % grid.y),
                   unsigned(cluster / along_x / grid.y));
    b.rank = int(r), b.threads = block_threads, b.ended = 0;
    b.shared = arena + r * kBlockBytes;
    b.dynamic_bytes = shared, b.used = (shared + 15) / 16 * 16;
    std::memset(b.shared, 0xFF, size_t(b.used));  // NaN
    b.statics.clear(), b.mbarriers.clear();
    b.warps.assign(size_t(block_threads + 31) / 32, Warp{});
    for (Barrier& barrier : b.barriers) barrier = {};
    for (Gate& gate : b.wgmma_gates) gate = {};
    b.start = ++clock, b.fence_covers = 0;
    for (int i = 0; i < block_threads; ++i) {
      const int index = int(r) * block_threads + i;
      Thread& t = threads[size_t(index)];
      t.thread =
          dim3(unsigned(i) % block.x, unsigned(i) / block.x % block.y, unsigned(i) / block.x / block.y);
      t.block = b.index, t.block_size = block, t.grid_size = grid;
      t.in = &b, t.rank = i, t.index = index, t.done = false;
      t.next_waiting = nullptr, t.waits_for = nullptr, t.line = Line();
      t.copies.clear(), t.stores.clear(), t.copy_group = t.store_group = 0;
      t.fence_time = t.sync_time = 0, t.access = nullptr;
      const size_t page = size_t(sysconf(_SC_PAGESIZE));
      t.context.start(stacks + size_t(index) * kStackBytes + page, kStackBytes - page, fiber_entry);
      b.warps[size_t(i / 32)].present |= 1u << (i % 32);
      make_runnable(&t);
    }
  }
  now = &threads[size_t(set.schedule == Schedule::reverse ? thread_count - 1 : 0)];
  if (set.schedule == Schedule::random) now = &threads[draw() % uint32_t(thread_count)];
  place = now;
  switch_context(main, now->context);
  place = nullptr, now = nullptr;
}

}  // namespace

void set_schedule(Schedule schedule, uint64_t seed, Copies copies) {
  settings().schedule = schedule;
  settings().seed = seed;
  settings().copies = copies;
}
void set_compute_capability(int capability) { settings().capability = capability; }

void run(const char* name, const dim3& grid, unsigned cluster, const dim3& block, size_t shared_bytes,
         const std::function<void()>& kernel) {
  const int64_t threads = int64_t(block.x) * block.y * block.z;
  if (threads < 1 || threads > 1024)
    fail(Fault::internal, "kernel {}: {} threads a block; expected 1 to 1024", name, threads);
  if (int64_t(shared_bytes) > kMaxShared)
    fail(Fault::internal, "kernel {}: {} bytes of shared memory; at most {}", name, shared_bytes, kMaxShared);
  if (cluster < 1 || cluster > 8 || grid.x % cluster)
    fail(Fault::internal, "kernel {}: clusters of {} in a grid of {} blocks along x", name, cluster, grid.x);
  const int64_t clusters = int64_t(grid.x / cluster) * grid.y * grid.z;
  const Settings set = settings();
  std::exception_ptr error;
  int64_t error_at = clusters;
#pragma omp parallel for schedule(dynamic) if (clusters > 1)
  for (int64_t i = 0; i < clusters; ++i) {
    int64_t failed;
#pragma omp atomic read
    failed = error_at;
    if (failed < i) continue;
    thread_local Worker mine;
    worker = &mine;
    mine.kernel_name = name, mine.kernel = &kernel, mine.set = set;
    std::exception_ptr thrown;
    try {
      mine.run(i, grid, cluster, block, int64_t(shared_bytes));
      thrown = mine.error;
      mine.error = nullptr;
    } catch (...) { thrown = std::current_exception(); }
    if (!thrown) continue;
#pragma omp critical(emulate_error)
    if (i < error_at) error_at = i, error = thrown;
  }
  if (error) std::rethrow_exception(error);
}

// ---- shared memory
// ------------------------------------------------------------------------------------------

void* dynamic_shared(int64_t begin, int64_t bytes, Line line) {
  Block& b = *now->in;
  if (bytes < 0 || begin + bytes > b.dynamic_bytes)
    stop(line, fmt::format("{} bytes of dynamic shared memory from {} on; the launch gave {}", bytes, begin,
                           b.dynamic_bytes));
  return b.shared + begin;
}
void* static_shared(const void* name, int64_t bytes) {
  Block& b = *now->in;
  for (const auto& [known, offset] : b.statics)
    if (known == name) return b.shared + offset;
  const int64_t offset = b.used;
  b.used = (b.used + bytes + 15) / 16 * 16;
  if (b.used > kMaxShared)
    stop(now->line, fmt::format("{} bytes of shared memory; at most {}", b.used, kMaxShared));
  std::memset(b.shared + offset, 0xFF, size_t(b.used - offset));
  b.statics.emplace_back(name, offset);
  return b.shared + offset;
}
void* in_block(void* mine, int rank, Line line) {
  const Block& b = block_of(mine, line);
  if (rank < 0 || rank >= int(worker->blocks.size()))
    stop(line, fmt::format("block {} of a cluster of {}", rank, worker->blocks.size()));
  return worker->blocks[size_t(rank)]->shared + (static_cast<unsigned char*>(mine) - b.shared);
}

void accessed(void* data, int bytes) {
  settle();
  Thread& t = *now;
  if (worker->set.schedule == Schedule::random && worker->draw() % 8 == 0) worker->next();
  t.access = static_cast<unsigned char*>(data), t.access_bytes = bytes;
  std::memcpy(t.before, data, size_t(std::min(bytes, 16)));
}
void written(void* data, int bytes) {
  Block& b = block_of(data, now->line);
  const int64_t begin = static_cast<unsigned char*>(data) - b.shared;
  for (int64_t g = begin / kGranule; g <= (begin + bytes - 1) / kGranule; ++g)
    b.written[size_t(g)] = {worker->clock, now};
}
void out_of_range(int64_t index, int64_t size, Line line) {
  stop(line, fmt::format("index {} of {} elements of shared memory", index, size));
}
void require(const void* view, int64_t has, int64_t needs, int align, const char* what, Line line) {
  if (has < needs)
    stop(line, fmt::format("{} needs {} bytes of shared memory, and {} are left", what, needs, has));
  if ((static_cast<const unsigned char*>(view) - worker->arena) % align)
    stop(line, fmt::format("{} needs shared memory on a {}-byte boundary", what, align));
}

// ---- barriers
// -----------------------------------------------------------------------------------------------

int lane() { return now->rank % 32; }
int cluster_rank() { return now->in->rank; }

void warp_meet(const char* what, uint32_t mask, void* mine, Compute compute, Line line) {
  settle();
  Warp& w = now->in->warps[size_t(now->rank / 32)];
  const uint32_t bit = 1u << lane();
  mask &= w.present;
  if (!(mask & bit))
    stop(line, fmt::format("{} by lane {}, which its mask {:#x} leaves out", what, lane(), mask));
  Meeting* found = nullptr;
  for (Meeting& m : w.meetings)
    if (m.mask & mask) found = &m;
  if (!found) {
    w.meetings.push_back({what, mask, 0, {}, compute, line, {}});
    found = &w.meetings.back();
  }
  Meeting& m = *found;
  if (m.mask != mask || std::strcmp(m.what, what) || m.line.line() != line.line())
    stop(line,
         fmt::format("divergent warp: {} with mask {:#x}, while other lanes wait at {} in {} with mask {:#x}",
                     what, mask, at(m.line), m.what, m.mask));
  m.arrived |= bit, m.lanes[lane()] = mine;
  if (m.mask & ~(m.arrived | w.exited)) worker->wait_at(m.gate, what, line);
  else complete_if_all(w, m);
  synchronised();
}

namespace {

// True for the thread that ends the wait.
bool arrive(Barrier& b, const char* what, int expected, int vote, bool wait, Line line) {
  if (b.arrived == 0) b.what = what, b.line = line, b.by = now, b.expected = expected;
  b.votes += vote;
  if (++b.arrived == expected) {
    b.result = b.votes, b.arrived = b.votes = 0;
    worker->wake(b.gate);
    return true;
  }
  if (wait) worker->wait_at(b.gate, what, line);
  return false;
}

}  // namespace

int block_barrier(const char* what, int id, int threads, int vote, bool wait, Line line) {
  settle();
  Block& block = *now->in;
  const int expected = id == 0 && threads == 0 ? block.threads : threads;
  if (id < 0 || id > 15 || expected < 1 || expected > block.threads || (id && expected % 32))
    stop(line,
         fmt::format("{} of barrier {} for {} threads, in a block of {}", what, id, expected, block.threads));
  Barrier& b = block.barriers[id];
  if (id == 0 && block.ended)
    stop(line, fmt::format("divergent barrier: {} after {} threads have ended", what, block.ended));
  if (b.arrived &&
      (b.expected != expected ||
       (id == 0 && (b.line.line() != line.line() || std::strcmp(b.line.file_name(), line.file_name())))))
    stop(line, fmt::format("divergent barrier: {} for {} threads, while thread {} waits at {} in {} for {}",
                           what, expected, name(b.by->thread), at(b.line), b.what, b.expected));
  arrive(b, what, expected, vote, wait, line);
  synchronised();
  return b.result;
}
void cluster_barrier(Line line) {
  settle();
  if (worker->ended) stop(line, "divergent barrier: cluster_sync after threads of the cluster have ended");
  arrive(worker->cluster_barrier, "cluster_sync", worker->thread_count, 0, true, line);
  synchronised();
}
void proxy_fence(Line) {
  settle();
  Thread& t = *now;
  t.fence_time = ++worker->clock;
  t.in->fence_covers = std::max(t.in->fence_covers, t.sync_time);
}

void mbarrier_init(void* p, int count, Line line) {
  settle();
  Block& b = block_of(p, line);
  if (count < 1 || count > (1 << 20) - 1) stop(line, fmt::format("mbarrier_init for {} arrivals", count));
  size_t i = 0;
  while (i < b.mbarriers.size() && b.mbarriers[i].at != p) ++i;
  if (i == b.mbarriers.size()) b.mbarriers.emplace_back();
  b.mbarriers[i] = {static_cast<Mbarrier*>(p), count, count, 0, 0, now, ++worker->clock, {}};
  *static_cast<Mbarrier*>(p) = kMbarrierMark | i;
}
void mbarrier_arrive(void* p, int bytes, Line line) {
  settle();
  Mbar& m = mbar_of(p, line);
  if (m.pending == 0)
    stop(line, fmt::format("an arrival too many: the mbarrier counts {} and still expects {} bytes", m.count,
                           m.bytes));
  m.bytes += bytes;
  --m.pending;
  flip_if_over(m);
}
void mbarrier_wait(void* p, int parity, Line line) {
  settle();
  Mbar& m = mbar_of(p, line);
  Worker& w = *worker;
  while (m.phase == parity) {
    const bool late = w.set.schedule == Schedule::one_warp_first ||
                      (w.set.schedule == Schedule::random && w.draw() % 2);  // when nothing else can run
    for (size_t i = 0; !late && i < w.inbound.size() && m.phase == parity;)
      if (w.inbound[i].barrier == &m) w.deliver(i);
      else ++i;
    if (m.phase == parity) w.wait_at(m.gate, "mbarrier_wait", line);
  }
  synchronised();
}

// ---- copies
// -------------------------------------------------------------------------------------------------

namespace {

void complete(const Copy& c) {
  std::memset(c.to, 0, 16);
  if (c.bytes) std::memcpy(c.to, c.from, size_t(c.bytes));
  written(c.to, 16);
}

}  // namespace

void cp_async(void* to, const void* from, int bytes, Line line) {
  settle();
  if (bytes < 0 || bytes > 16) stop(line, fmt::format("cp_async of {} bytes; expected 0 to 16", bytes));
  if (bytes && reinterpret_cast<uintptr_t>(from) % 16)
    stop(line, "cp_async needs global memory on a 16-byte boundary");
  const Copy copy{to, from, bytes, now->copy_group};
  if (worker->set.copies == Copies::early) complete(copy);
  else now->copies.push_back(copy);
}
void cp_async_commit() { ++now->copy_group; }
void cp_async_wait(int groups) {
  settle();
  auto& copies = now->copies;
  size_t done = 0;
  for (; done < copies.size() && copies[done].group < now->copy_group - groups; ++done)
    complete(copies[done]);
  copies.erase(copies.begin(), copies.begin() + std::ptrdiff_t(done));
}

void tma_load(void* to, int64_t has, const TensorMap& map, void* b, uint16_t blocks, const int* at, int rank,
              Line line) {
  settle();
  require_box(map, to, has, rank, "tma_load", line);
  const int64_t bytes = box_bytes(map);
  const uint32_t targets = blocks ? blocks : 1u << now->in->rank;
  if (targets >> worker->blocks.size())
    stop(line, fmt::format("tma_load to blocks {:#x} of a cluster of {}", targets, worker->blocks.size()));
  for (int r = 0; r < int(worker->blocks.size()); ++r) {
    if (!(targets >> r & 1)) continue;
    Inbound copy{map,
                 static_cast<unsigned char*>(in_block(to, r, line)),
                 {},
                 &mbar_of(in_block(b, r, line), line),
                 bytes};
    std::copy_n(at, rank, copy.at);
    if (copy.barrier->by->fence_time < copy.barrier->time)
      stop(line, fmt::format(
                     "tma_load counts at an mbarrier that thread {} initialised, with no fence_mbarrier_init "
                     "between",
                     name(copy.barrier->by->thread)));
    require_fence(copy.to, bytes, "tma_load", line);
    worker->inbound.push_back(copy);
    if (worker->set.copies == Copies::early) worker->deliver(worker->inbound.size() - 1);
  }
}
void tma_store(const TensorMap& map, const void* from, int64_t has, const int* at, int rank, Line line) {
  settle();
  require_box(map, from, has, rank, "tma_store", line);
  require_fence(from, box_bytes(map), "tma_store", line);
  now->line = line;
  Store s{map, static_cast<const unsigned char*>(from), {}, now->store_group};
  std::copy_n(at, rank, s.at);
  now->stores.push_back(s);
}
void tma_store_commit() { ++now->store_group; }
void tma_store_wait(int groups) {
  settle();
  auto& stores = now->stores;
  size_t done = 0;
  for (; done < stores.size() && stores[done].group < now->store_group - groups; ++done) {
    const int bytes = stores[done].map.element_bytes;
    each_chunk(stores[done].map, const_cast<unsigned char*>(stores[done].from), stores[done].at,
               [bytes](unsigned char* s, unsigned char* global) {
                 if (global) std::memcpy(global, s, size_t(bytes));
               });
  }
  stores.erase(stores.begin(), stores.begin() + std::ptrdiff_t(done));
}

// ---- tensor cores
// -------------------------------------------------------------------------------------------

namespace {

float half_value(uint16_t bits, bool bfloat) { return bfloat ? bf16_value(bits) : f16_value(bits); }

struct Matrices {
  uint32_t* r;
  unsigned char* row;
  int count;
  bool transpose, store;
};
// Lane l holds elements (l / 4, 2 (l % 4) + {0, 1}) of each 8x8 matrix, whose rows lanes 8 i to 8 i + 7 give.
void move_matrices(void* const* lanes) {
  for (int l = 0; l < 32; ++l) {
    const Matrices& mine = *static_cast<Matrices*>(lanes[l]);
    for (int i = 0; i < mine.count; ++i)
      for (int e = 0; e < 2; ++e) {
        int row = l / 4, column = 2 * (l % 4) + e;
        if (mine.transpose) std::swap(row, column);
        uint16_t* shared =
            reinterpret_cast<uint16_t*>(static_cast<Matrices*>(lanes[8 * i + row])->row) + column;
        uint16_t* own = reinterpret_cast<uint16_t*>(mine.r + i) + e;
        if (mine.store) *shared = *own;
        else *own = *shared;
      }
  }
}

struct Mma {
  float* d;
  const uint32_t *a, *b;
  bool bfloat;
};
void multiply(void* const* lanes) {
  float a[16][16], b[16][8], d[16][8];
  const auto half = [](uint32_t pair, int e, bool bfloat) {
    return half_value(uint16_t(pair >> (16 * e)), bfloat);
  };
  for (int l = 0; l < 32; ++l) {
    const Mma& m = *static_cast<Mma*>(lanes[l]);
    const int g = l / 4, t = 2 * (l % 4);
    for (int i = 0; i < 4; ++i)
      for (int e = 0; e < 2; ++e) a[g + 8 * (i % 2)][t + 8 * (i / 2) + e] = half(m.a[i], e, m.bfloat);
    for (int i = 0; i < 2; ++i)
      for (int e = 0; e < 2; ++e) b[t + 8 * i + e][g] = half(m.b[i], e, m.bfloat);
    for (int i = 0; i < 4; ++i) d[g + 8 * (i / 2)][t + i % 2] = m.d[i];
  }
  for (int r = 0; r < 16; ++r)
    for (int k = 0; k < 16; ++k)
      for (int c = 0; c < 8; ++c) d[r][c] += a[r][k] * b[k][c];
  for (int l = 0; l < 32; ++l) {
    const Mma& m = *static_cast<Mma*>(lanes[l]);
    for (int i = 0; i < 4; ++i) m.d[i] = d[l / 4 + 8 * (i / 2)][2 * (l % 4) + i % 2];
  }
}

}  // namespace

void ldmatrix(uint32_t* r, const void* row, int matrices, bool transpose, Line line) {
  Matrices mine{r, static_cast<unsigned char*>(const_cast<void*>(row)), matrices, transpose, false};
  warp_meet("ldmatrix", 0xffffffffu, &mine, move_matrices, line);
}
void stmatrix(void* row, const uint32_t* r, bool transpose, Line line) {
  Matrices mine{const_cast<uint32_t*>(r), static_cast<unsigned char*>(row), 4, transpose, true};
  warp_meet("stmatrix", 0xffffffffu, &mine, move_matrices, line);
  written(row, 16);
}
void mma(float* d, const uint32_t* a, const uint32_t* b, bool bfloat, Line line) {
  Mma mine{d, a, b, bfloat};
  warp_meet("mma_m16n8k16", 0xffffffffu, &mine, multiply, line);
}

uint64_t operand(const void* tile, int64_t has, int64_t skip, int next_bytes, Line line) {
  require(tile, has, 1024, 1024, "a wgmma operand", line);
  const int64_t address = static_cast<const unsigned char*>(tile) - block_of(tile, line).shared + skip;
  return uint64_t(address >> 4 & 0x3fff) | uint64_t(next_bytes >> 4) << 16 | uint64_t{1024 >> 4} << 32 |
         uint64_t{1} << 62;
}

namespace {

// Where element (row, k) of an operand lies in shared memory: row of a, or column of b.
int64_t operand_address(uint64_t descriptor, bool transposed, int row, int k) {
  const int64_t start = int64_t(descriptor & 0x3fff) << 4, leading = int64_t(descriptor >> 16 & 0x3fff) << 4,
                stride = int64_t(descriptor >> 32 & 0x3fff) << 4;
  const int64_t address = transposed
                              ? start + row / 64 * leading + k / 8 * stride + k % 8 * 128 + row % 64 * 2
                              : start + row / 8 * stride + row % 8 * 128 + 2 * k;
  return address ^ (address >> 3 & 0x70);
}

// Rows first to first + rows - 1 of an operand, as (k, row).
void read_operand(float* out, uint64_t descriptor, bool transposed, bool bfloat, int first, int rows) {
  const unsigned char* shared = now->in->shared;
  for (int k = 0; k < 16; ++k)
    for (int r = 0; r < rows; ++r) {
      uint16_t bits;
      std::memcpy(&bits, shared + operand_address(descriptor, transposed, first + r, k), 2);
      out[k * rows + r] = half_value(bits, bfloat);
    }
}

void check_operand(uint64_t descriptor, bool transposed, int first, int rows, Line line) {
  const Block& b = *now->in;
  int64_t last = -1;
  for (int k = 0; k < 16; k += transposed ? 1 : 8)
    for (int r = 0; r < rows; r += transposed ? 8 : 1) {
      const int64_t address = operand_address(descriptor, transposed, first + r, k);
      if (address + 16 > b.used)
        stop(line,
             fmt::format("wgmma reads shared memory at {}, and the block has {} bytes", address, b.used));
      if (address / kGranule != last) require_fence(b.shared + address, 16, "wgmma", line);
      last = address / kGranule;
    }
}

struct WgmmaLane {
  Wgmma op;
  Line line;
};
Warp& my_warp() { return now->in->warps[size_t(now->rank / 32)]; }

void issue_wgmma(void* const* lanes) {
  const WgmmaLane& first = *static_cast<WgmmaLane*>(lanes[0]);
  const Wgmma& o = first.op;
  Warp& w = my_warp();
  const int n = o.size * 2;
  if (!w.fenced) stop(first.line, "wgmma with no wgmma_fence before it since the last wait");
  if (now->in->threads < (now->rank / 128 + 1) * 128)
    stop(first.line, "wgmma needs a whole warpgroup of 128 threads");
  WgmmaOp op{n,
             {},
             {},
             o.a_descriptor,
             o.b_descriptor,
             o.a_transposed,
             o.b_transposed,
             o.bfloat,
             o.accumulate,
             now->rank / 32 % 4 * 16,
             ++w.wgmmas};
  if (o.a) op.a.resize(256);
  else check_operand(o.a_descriptor, o.a_transposed, op.row, 16, first.line);
  check_operand(o.b_descriptor, o.b_transposed, 0, n, first.line);
  Accumulator* sum = nullptr;
  for (Accumulator& a : w.accumulators)
    if (a.key == o.d) sum = &a;
  const bool pending = sum != nullptr;
  if (!pending) {
    w.accumulators.push_back({o.d, {}, n, std::vector<float>(size_t(16 * n))});
    sum = &w.accumulators.back();
  }
  for (int l = 0; l < 32; ++l) {
    const Wgmma& mine = static_cast<WgmmaLane*>(lanes[l])->op;
    op.d[l] = sum->d[l] = mine.d;
    for (int i = 0; o.a && i < 4; ++i)
      for (int e = 0; e < 2; ++e)
        op.a[size_t((2 * (l % 4) + 8 * (i / 2) + e) * 16 + l / 4 + 8 * (i % 2))] =
            half_value(uint16_t(mine.a[i] >> (16 * e)), o.bfloat);
    for (int i = 0; !pending && i < o.size; ++i)
      sum->value[size_t((l / 4 + 8 * (i % 4 / 2)) * n + 8 * (i / 4) + 2 * (l % 4) + i % 2)] = mine.d[i];
    std::memset(mine.d, 0xFF, size_t(o.size) * 4);  // NaN until the wait
  }
  w.open.push_back(std::move(op));
  worker->wake(now->in->wgmma_gates[now->rank / 128]);
}

void run_wgmma(Warp& w, WgmmaOp& op, int64_t last) {
  if (op.done || op.number > last) return;
  op.done = true;
  float from_shared[256], b[16 * 256];
  if (op.a.empty()) read_operand(from_shared, op.a_descriptor, op.a_transposed, op.bfloat, op.row, 16);
  const float* a = op.a.empty() ? from_shared : op.a.data();
  read_operand(b, op.b_descriptor, op.b_transposed, op.bfloat, 0, op.n);
  for (Accumulator& sum : w.accumulators) {
    if (sum.key != op.d[0]) continue;
    for (int r = 0; r < 16; ++r) {
      float* d = sum.value.data() + r * op.n;
      if (!op.accumulate) std::fill_n(d, op.n, 0.0f);
      for (int k = 0; k < 16; ++k) {
        const float x = a[k * 16 + r], *y = b + k * op.n;
        for (int c = 0; c < op.n; ++c) d[c] += x * y[c];
      }
    }
  }
}

// The number of the last wgmma that a wait for all but `groups` groups completes.
int64_t last_awaited(const Warp& w, int groups) {
  int64_t last = 0;
  for (size_t i = 0; i + size_t(groups) < w.committed.size(); ++i)
    if (!w.committed[i].empty()) last = w.committed[i].back().number;
  return last;
}

struct WgmmaWait {
  int groups;
};
void finish_wgmma(void* const* lanes) {
  Warp& w = my_warp();
  const int left = static_cast<WgmmaWait*>(lanes[0])->groups;
  const int64_t last = last_awaited(w, left);
  for (int i = 0; last && i < 4; ++i) {  // the four warps' parts are one instruction
    Warp& other = now->in->warps[size_t(now->rank / 128 * 4 + i)];
    for (auto& group : other.committed)
      for (WgmmaOp& op : group) run_wgmma(other, op, last);
    for (WgmmaOp& op : other.open) run_wgmma(other, op, last);
  }
  while (w.committed.size() > size_t(left)) w.committed.pop_front();
  const auto busy = [&](const Accumulator& sum) {
    const auto uses = [&](const WgmmaOp& op) { return op.d[0] == sum.key; };
    for (const auto& group : w.committed)
      if (std::any_of(group.begin(), group.end(), uses)) return true;
    return std::any_of(w.open.begin(), w.open.end(), uses);
  };
  for (size_t i = 0; i < w.accumulators.size();) {
    const Accumulator& sum = w.accumulators[i];
    if (busy(sum)) {
      ++i;
      continue;
    }
    for (int l = 0; l < 32; ++l)
      for (int j = 0; j < sum.n / 2; ++j)
        sum.d[l][j] =
            sum.value[size_t((l / 4 + 8 * (j % 4 / 2)) * sum.n + 8 * (j / 4) + 2 * (l % 4) + j % 2)];
    w.accumulators.erase(w.accumulators.begin() + std::ptrdiff_t(i));
  }
  w.fenced = false;
}

}  // namespace

void wgmma(Wgmma mine, Line line) {
  WgmmaLane operands{mine, line};
  now->line = line;
  warp_meet("wgmma_m64k16", 0xffffffffu, &operands, issue_wgmma, line);
}
void wgmma_fence(Line line) {
  int none = 0;
  warp_meet(
      "wgmma_fence", 0xffffffffu, &none, [](void* const*) { my_warp().fenced = true; }, line);
}
void wgmma_commit(Line line) {
  int none = 0;
  warp_meet(
      "wgmma_commit", 0xffffffffu, &none,
      [](void* const*) {
        Warp& w = my_warp();
        w.committed.push_back(std::move(w.open));
        w.open.clear();
      },
      line);
}
void wgmma_wait(int groups, Line line) {
  settle();
  const int64_t last = last_awaited(my_warp(), groups);
  const int group = now->rank / 128;
  for (size_t i = 0; last && i < 4; ++i)
    while (now->in->warps[size_t(group * 4) + i].wgmmas < last)
      worker->wait_at(now->in->wgmma_gates[group], "the other warps' wgmma", line);
  WgmmaWait mine{groups};
  warp_meet("wgmma_wait", 0xffffffffu, &mine, finish_wgmma, line);
}
void setmaxnreg(int registers, Line line) {
  if (registers % 8 || registers < 24 || registers > 256)
    stop(line, fmt::format("setmaxnreg to {}; expected a multiple of 8 from 24 to 256", registers));
  int none = 0;
  warp_meet(
      "setmaxnreg", 0xffffffffu, &none, [](void* const*) {}, line);
}

}  // namespace emulate

// ---- host functions of kernel.h
// -----------------------------------------------------------------------------

int compute_capability(Cuda) { return emulate::settings().capability; }
int multiprocessors(Cuda) { return 3; }

void* workspace(Cuda, size_t bytes) {
  static std::vector<std::unique_ptr<unsigned char[]>> kept;
  static size_t size = 0;
  if (bytes > size) {
    size = std::max(bytes, 2 * size);
    kept.push_back(std::make_unique<unsigned char[]>(size));
  }
  if (bytes) std::memset(kept.back().get(), 0xFF, bytes);
  return bytes ? kept.back().get() : nullptr;
}

TensorMap tensor_map(const void* data, int element_bytes, bool, const TensorBox& b, Swizzle swizzle) {
  const auto expect = [&](bool right, const char* what, int64_t found) {
    if (!right) fail(Fault::internal, "cuda: tensor map of rank {}: {}, found {}", b.rank, what, found);
  };
  expect(b.rank >= 2 && b.rank <= 5, "expected a rank of 2 to 5", b.rank);
  expect(reinterpret_cast<uintptr_t>(data) % 16 == 0, "expected an address on a 16-byte boundary",
         int64_t(reinterpret_cast<uintptr_t>(data) % 16));
  TensorMap map{};
  map.data = static_cast<unsigned char*>(const_cast<void*>(data));
  map.rank = b.rank, map.element_bytes = element_bytes, map.swizzle = (1 << int(swizzle)) - 1;
  for (int i = 0; i < b.rank; ++i) {
    const bool last = i == b.rank - 1;
    expect(b.shape[i] > 0, "expected positive sizes", b.shape[i]);
    expect(last ? b.stride[i] == 1 : b.stride[i] * element_bytes % 16 == 0,
           "expected strides of whole 16 bytes, the last 1", b.stride[i]);
    expect(b.step[i] >= 1 && b.step[i] <= 8, "expected steps of 1 to 8", b.step[i]);
    expect(b.box[i] >= 1 && (b.box[i] - 1) * b.step[i] + 1 <= 256, "expected boxes of 1 to 256", b.box[i]);
    map.shape[i] = b.shape[i], map.stride_bytes[i] = b.stride[i] * element_bytes;
    map.box[i] = b.box[i], map.step[i] = b.step[i];
  }
  const int64_t row = int64_t(b.box[b.rank - 1]) * element_bytes;
  expect(row % 16 == 0, "expected a last box dimension of whole 16 bytes", row);
  expect(swizzle == Swizzle::none || row <= (16 << int(swizzle)),
         "expected a last box dimension within the swizzle", row);
  return map;
}
