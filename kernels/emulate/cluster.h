// What a running cluster consists of, for the parts of the emulated device: its fibers, blocks, warps and
// barriers, the worker that runs them on a core, and what is done at almost every step.
#pragma once
#include <array>
#include <cstring>
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
#ifdef __x86_64__
// Saves what a called function has to keep, changes stacks, takes it back from the other stack.
extern "C" void emulate_switch(void** from, void* to);
#else
#include <ucontext.h>
#endif

namespace emulate {

struct Context {
#ifdef __x86_64__
  void* stack_pointer = nullptr;
#else
  ucontext_t state;
#endif
  const char* stack = nullptr;
  size_t stack_bytes = 0;

  void start(char* bottom, size_t bytes, void (*entry)());
};

inline void switch_context(Context& from, Context& to) {
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

constexpr int64_t kBlockBytes = 256 << 10;  // addresses of a block's shared memory
constexpr int kGranule = 16;                // bytes whose last writer is known
constexpr int kRegisters = 64 << 10;        // of a multiprocessor, shared out to the threads of one block
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
struct Landing {  // bytes on their way to global memory
  unsigned char* to;
  std::vector<unsigned char> bytes;
};
struct Store {  // TMA to global memory
  TensorMap map;
  const unsigned char* from;
  int at[5];
  int64_t group;
  bool read = false;  // the source, into `landings`
  std::vector<Landing> landings;
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
  // Clock of its last proxy fence (fence_mbarrier_init); of the last one before a barrier of any kind; of its
  // last arrival at a barrier that waits for its reads.
  uint64_t fence_time = 0, init_fence_time = 0;
  uint64_t fence_published = 0, init_fence_published = 0;
  uint64_t reads_published = 0;
  unsigned char* access = nullptr;  // the element that it may be about to write
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
  std::vector<float> a;  // (16, 16), if it came from registers:
  const uint32_t* a_registers[32];
  std::array<uint32_t, 4> a_bits[32];
  Line line;
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
  int registers = 0;  // of a thread
  struct Change {
    int registers;
    Line line;
  };
  std::vector<Change> changes;  // by setmaxnreg
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

struct Touched {  // last, through the generic proxy
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
  int free_registers = 0;
  Gate register_gate;
  std::vector<Touched> written = std::vector<Touched>(kBlockBytes / kGranule), read = written;
  uint64_t start = 0;
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
  TensorCores tensor_cores = TensorCores::round;
  int capability = 90, multiprocessors = 3;
  bool late = false;  // streams
};
Settings& settings();

int64_t shared_limit(int capability);  // bytes a block can have
// Stops a launch that the hardware would refuse; the bytes of shared memory that its blocks may have.
int64_t check_launch(const Launch& launch, const dim3& grid, unsigned cluster, const dim3& block,
                     int64_t shared_bytes);
// Of a block: static arrays first, then the dynamic part on a boundary of 1024 bytes.
int64_t shared_total(int64_t static_bytes, int64_t dynamic_bytes);
[[noreturn]] void refuse_shared(const char* kernel, int64_t bytes, int64_t most);

struct Worker;
extern constinit thread_local Worker* worker;
extern constinit thread_local Thread* now;

[[noreturn]] void stop(Line line, const std::string& what);
[[noreturn]] void abandon(const std::string& what);  // the same from a signal's handler
std::string at(const Line& line);
std::string name(const dim3& i);

struct Worker {
  const char* kernel_name = "";
  const std::function<void()>* kernel = nullptr;
  Settings set;
  int64_t most_shared = 0;  // of a block
  Context main;
  std::vector<std::unique_ptr<Block>> blocks;
  std::deque<Thread> threads;
  int thread_count = 0, ended = 0;
  std::vector<uint64_t> runnable;  // a bit a thread
  std::vector<Inbound> inbound;
  std::vector<Landing> late;  // to global memory when the kernel has ended
  Barrier cluster_barrier;
  std::exception_ptr error;
  uint64_t clock = 1, draws = 0, stream = 0;
  int elected = 0;  // the lane of elect_one
  unsigned char* arena = nullptr;
  int arena_blocks = 0;
  char* stacks = nullptr;
  int stack_count = 0;

  ~Worker();

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

// Did the thread write the element that it accessed last, or read it?
inline void settle() {
  Thread& t = *now;
  if (!t.access) return;
  unsigned char* access = t.access;
  t.access = nullptr;
  if (std::memcmp(access, t.before, size_t(std::min(t.access_bytes, 16)))) written(access, t.access_bytes);
  else if (!t.in->mbarriers.empty()) was_read(access, t.access_bytes);
}

// This thread arrives at a barrier: who leaves it knows of its fences and, unless the barrier is a warp's
// own, that its reads are over.
inline void publish(bool reads) {
  Thread& t = *now;
  t.fence_published = t.fence_time, t.init_fence_published = t.init_fence_time;
  if (reads) t.reads_published = ++worker->clock;
}

inline Block& block_of(const void* p, Line line) {
  const int64_t offset = static_cast<const unsigned char*>(p) - worker->arena;
  if (offset < 0 || offset >= int64_t(worker->blocks.size()) * kBlockBytes)
    stop(line, "an address outside the shared memory of the cluster");
  return *worker->blocks[size_t(offset / kBlockBytes)];
}

// Stops unless the async proxy, set to work by this thread, sees what was written to these bytes of shared
// memory and, if it overwrites them, comes after what was read.
void require_fences(const void* p, int64_t bytes, bool overwrites, const char* what, Line line);
Mbar& mbar_of(void* p, Line line);
inline void land(std::vector<Landing>& landings) {
  for (const Landing& l : landings) std::memcpy(l.to, l.bytes.data(), l.bytes.size());
  landings.clear();
}
void flip_if_over(Mbar& m);
void complete_if_all(Warp& w, Meeting& m);

float half_value(uint16_t bits, bool bfloat);
// d[c] += sum over 16 of k: x[k * step] y[k * n + c], the factors bf16 or f16, as tensor cores add.
void add_products(float* d, int n, const float* x, int step, const float* y, bool bfloat);

}  // namespace emulate
