// The state of a running cluster, shared by the files of the emulated device: its fibers, threads, warps,
// blocks and barriers, the Worker that runs them on a core, and the functions that almost every instruction
// calls.
#pragma once
#include <array>
#include <cstring>
#include <deque>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "kernels/device/device.h"
#include "kernels/device/philox.h"
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifndef __x86_64__
#include <ucontext.h>
#endif

namespace dae {

#ifdef __x86_64__
// Saves the callee-saved registers on the current stack, switches to the other stack, and restores the
// registers saved there.
extern "C" void emulate_switch(void** from, void* to);
#endif

namespace emulate {

// The execution state of a fiber: its stack, and where it continues.
struct Context {
#ifdef __x86_64__
  void* stack_pointer = nullptr;
#else
  ucontext_t state;
#endif
  const char* stack = nullptr;
  size_t stack_bytes = 0;

  // Prepares the fiber to call entry() on the stack [bottom, bottom + bytes) at the first switch to it.
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

constexpr int64_t kBlockBytes = 256 << 10;  // the address range of a block's shared memory
constexpr int kGranule = 16;                // the number of bytes that share one record of writer and reader
constexpr int kRegisters = 64 << 10;        // of a multiprocessor, divided among the threads of one block
constexpr size_t kStackBytes = 128 << 10;   // of a fiber

struct Thread;
struct Gate {  // a list of threads that wait for the same event
  Thread* first = nullptr;
};

struct Copy {  // a cp.async that has not taken place
  void* to;
  const void* from;
  int bytes;
  int64_t group;
};
struct Landing {  // bytes that a TMA store has read and not yet written to global memory
  unsigned char* to;
  std::vector<unsigned char> bytes;
};
struct Store {  // a TMA store to global memory
  TensorMap map;
  const unsigned char* from;
  int at[5];
  int64_t group;
  bool read = false;  // whether `landings` holds the bytes of the source
  std::vector<Landing> landings;
};

struct Block;
struct Thread : Place {
  Context context;
  Block* in = nullptr;
  int rank = 0, index = 0;  // the thread's number in the block and in the cluster
  bool done = false;
  Thread* next_waiting = nullptr;
  const char* waits_for = nullptr;
  Line line;
  std::vector<Copy> copies;
  std::vector<Store> stores;
  int64_t copy_group = 0, store_group = 0;
  // The clock (Worker::clock) of three events:
  //   fence_time, init_fence_time             the thread's last fence_proxy_async and fence_mbarrier_init
  //   fence_published, init_fence_published   the last such fence before an arrival at a barrier of any kind
  //   reads_published                         the last arrival at a barrier that waits for the thread's reads
  uint64_t fence_time = 0, init_fence_time = 0;
  uint64_t fence_published = 0, init_fence_published = 0;
  uint64_t reads_published = 0;
  unsigned char* access = nullptr;  // the element of the last access, which may be a write (settle())
  int access_bytes = 0;
  unsigned char before[16];
};

// A collective instruction that lanes of a warp have reached and others not yet.
struct Meeting {
  const char* what;
  uint32_t mask, arrived;
  void* lanes[32];
  Compute compute;
  Line line;
  Gate gate;
};

// One warp's part of a wgmma that has not run.
struct WgmmaOp {
  int n;
  float* d[32];
  std::vector<float> a;  // (16, 16) if a came from registers, else empty
  const uint32_t* a_registers[32];
  std::array<uint32_t, 4> a_bits[32];
  Line line;
  uint64_t a_descriptor, b_descriptor;
  bool a_transposed, b_transposed, bfloat, accumulate;
  int row;         // the first of this warp's 16 rows of the product
  int64_t number;  // the number of the wgmma in its warp, from 1
  bool done = false;
};
// The value of an accumulator while wgmma use it; the registers themselves hold NaN until the wait.
struct Accumulator {
  float* key;  // the registers of lane 0, which identify the accumulator
  float* d[32];
  int n;
  std::vector<float> value;  // (16, n)
};

struct Warp {
  uint32_t present = 0, exited = 0;
  std::deque<Meeting> meetings;
  bool fenced = false;  // whether a wgmma_fence followed the last wgmma_wait
  std::vector<WgmmaOp> open;
  std::deque<std::vector<WgmmaOp>> committed;
  std::vector<Accumulator> accumulators;
  int64_t wgmmas = 0;
  int registers = 0;  // of each thread
  struct Change {
    int registers;
    Line line;
  };
  std::vector<Change> changes;  // by setmaxnreg
};

// A barrier of a block or a cluster; `by` is the first thread that arrived.
struct Barrier {
  int arrived = 0, expected = 0, votes = 0, result = 0;
  const char* what = nullptr;
  Line line;
  Thread* by = nullptr;
  Gate gate;
};

// The state of an mbarrier. `pending` is the number of arrivals that the phase still needs.
struct Mbar {
  Mbarrier* at;
  int count, pending, phase = 0;
  int64_t bytes = 0;  // the bytes that are expected and have not arrived
  Thread* by;         // the thread that initialised it
  uint64_t time;      // the clock of the initialisation
  Gate gate;
};

struct Touched {  // the last access to a granule through the generic proxy
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
  Gate wgmma_gates[8];  // for each warpgroup: warps that wait for the wgmma of the other warps
  int free_registers = 0;
  Gate register_gate;
  std::vector<Touched> written = std::vector<Touched>(kBlockBytes / kGranule), read = written;
  uint64_t start = 0;
};

struct Inbound {  // a TMA load that has not taken place
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
  bool late = false;  // whether streams work only when the host waits
};
Settings& settings();

// Returns the largest number of bytes of shared memory of a block.
int64_t shared_limit(int capability);
// Throws Fault::internal for a launch that the hardware would refuse. Returns the number of bytes of shared
// memory that its blocks may have.
int64_t check_launch(const Launch& launch, const dim3& grid, unsigned cluster, const dim3& block,
                     int64_t shared_bytes);
// Returns the size of a block's shared memory: the static arrays first, then the dynamic part on a boundary
// of 1024 bytes.
int64_t shared_total(int64_t static_bytes, int64_t dynamic_bytes);
[[noreturn]] void refuse_shared(const char* kernel, int64_t bytes, int64_t most);

struct Worker;
extern constinit thread_local Worker* worker;
extern constinit thread_local Thread* now;

// Throws Fault::internal with a message that names the kernel, block, thread and line.
[[noreturn]] void stop(Line line, const std::string& what);
// Ends the kernel with the same error, from a signal handler, where a throw is not possible.
[[noreturn]] void abandon(const std::string& what);
std::string at(const Line& line);
std::string name(const dim3& i);

// Runs the clusters of a launch on one core, one after another.
struct Worker {
  const char* kernel_name = "";
  const std::function<void()>* kernel = nullptr;
  Settings set;
  int64_t most_shared = 0;  // of a block
  Context main;
  std::vector<std::unique_ptr<Block>> blocks;
  std::deque<Thread> threads;
  int thread_count = 0, ended = 0;
  std::vector<uint64_t> runnable;  // one bit for each thread
  std::vector<Inbound> inbound;
  std::vector<Landing> late;  // bytes that arrive in global memory when the kernel has ended
  Barrier cluster_barrier;
  std::exception_ptr error;
  uint64_t clock = 1, draws = 0, stream = 0;
  int elected = 0;  // the lane that elect_one elects
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

  // Returns the first runnable thread at or after `from`, then from the start; -1 if there is none.
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
  int previous_runnable(int from) const {  // the last runnable thread at or before `from`, then from the end
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
  // Returns the thread that runs next by the schedule, or -1 if none can run.
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
  // Switches to the next thread. If no thread can run, it completes TMA loads that threads wait for.
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

  // Completes one TMA load that a thread waits for; returns false if there is none.
  bool deliver_one();
  void deliver(size_t i);  // completes the TMA load inbound[i]
  [[noreturn]] void stop_deadlock();
  void run(int64_t cluster, const dim3& grid, unsigned blocks_of_cluster, const dim3& block, int64_t shared);
};

// Records the thread's last access to shared memory as a write if the bytes have changed, else as a read. It
// runs before each later instruction, because an access by operator[] does not tell which of the two it is.
inline void settle() {
  Thread& t = *now;
  if (!t.access) return;
  unsigned char* access = t.access;
  t.access = nullptr;
  if (std::memcmp(access, t.before, size_t(std::min(t.access_bytes, 16)))) written(access, t.access_bytes);
  else if (!t.in->mbarriers.empty()) was_read(access, t.access_bytes);
}

// Records that this thread arrives at a barrier. Threads that leave the barrier come after its fences and, if
// `reads` is true (for all barriers but those of a warp), after its reads.
inline void publish(bool reads) {
  Thread& t = *now;
  t.fence_published = t.fence_time, t.init_fence_published = t.init_fence_time;
  if (reads) t.reads_published = ++worker->clock;
}

// Returns the block whose shared memory contains p; stops if there is none.
inline Block& block_of(const void* p, Line line) {
  const int64_t offset = static_cast<const unsigned char*>(p) - worker->arena;
  if (offset < 0 || offset >= int64_t(worker->blocks.size()) * kBlockBytes)
    stop(line, "an address outside the shared memory of the cluster");
  return *worker->blocks[size_t(offset / kBlockBytes)];
}

// Stops if an access of the async proxy that this thread starts is not ordered after the writes to these
// bytes of shared memory or, if it overwrites them, after the reads (shared.cpp, proxies).
void require_fences(const void* p, int64_t bytes, bool overwrites, const char* what, Line line);
// Returns the state of the mbarrier at p; stops if there is none.
Mbar& mbar_of(void* p, Line line);
// Writes the bytes to global memory.
inline void land(std::vector<Landing>& landings) {
  for (const Landing& l : landings) std::memcpy(l.to, l.bytes.data(), l.bytes.size());
  landings.clear();
}
// Begins the next phase of the mbarrier if the current one is complete.
void flip_if_over(Mbar& m);
// Executes the collective instruction if all its lanes have arrived or ended.
void complete_if_all(Warp& w, Meeting& m);

float half_value(uint16_t bits, bool bfloat);
// Adds products to d (n) as tensor cores do (TensorCores). The factors are bf16 or f16.
//   d[c] += sum over k < 16 of x[k * step] y[k * n + c]
void add_products(float* d, int n, const float* x, int step, const float* y, bool bfloat);

}  // namespace emulate

}  // namespace dae
