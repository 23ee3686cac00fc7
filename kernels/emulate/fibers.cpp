// Fibers of the emulated device: the switch between them, and the threads of a cluster from start to end.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "kernels/emulate/cluster.h"

namespace dae {

#ifdef __x86_64__
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

constinit thread_local const Place* place = nullptr;
constinit thread_local Worker* worker = nullptr;
constinit thread_local Thread* now = nullptr;

void Context::start(char* bottom, size_t bytes, void (*entry)()) {
  stack = bottom, stack_bytes = bytes;
#ifdef __SANITIZE_ADDRESS__
  __asan_unpoison_memory_region(bottom, bytes);  // the previous thread on this stack left poisoned bytes
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

std::string at(const Line& line) { return fmt::format("{}:{}", line.file_name(), line.line()); }
std::string name(const dim3& i) { return fmt::format("({}, {}, {})", i.x, i.y, i.z); }

[[noreturn]] void stop(Line line, const std::string& what) {
  throw Error(Fault::internal, fmt::format("kernel {}: block {}, thread {}, {}: {}", worker->kernel_name,
                                           name(now->block), name(now->thread), at(line), what));
}
void abandon(const std::string& what) {
  const Line& last = now->line;  // the line of its last wait, if there was one
  worker->error = std::make_exception_ptr(
      Error(Fault::internal,
            fmt::format("kernel {}: block {}, thread {}{}: {}", worker->kernel_name, name(now->block),
                        name(now->thread), last.line() ? ", after " + at(last) : "", what)));
  place = nullptr;
  switch_context(now->context, worker->main);
  std::abort();  // no fiber switches back
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

namespace {

void end_of_thread() {
  settle();
  Thread& t = *now;
  Block& b = *t.in;
  Warp& w = b.warps[size_t(t.rank / 32)];
  for (Store& s : t.stores) {
    if (!s.read) stop(t.line, "the thread ends before tma_store_wait<0> or tma_store_wait_read<0>");
    std::move(s.landings.begin(), s.landings.end(), std::back_inserter(worker->late));
  }
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
      else if (const auto& one = b.warps[g].changes, &other = b.warps[i].changes; one.size() != other.size())
        stop((one.empty() ? other : one).back().line,
             fmt::format("warps {} and {} of a warpgroup ran {} and {} setmaxnreg", g, i, one.size(),
                         other.size()));
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

}  // namespace

Worker::~Worker() {
  if (arena) munmap(arena, size_t(arena_blocks) * kBlockBytes);
  if (stacks) munmap(stacks, size_t(stack_count) * kStackBytes);
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
    for (int i = 0; i < stack_count; ++i)  // a guard page: a stack overflow faults at once
      mprotect(stacks + size_t(i) * kStackBytes, size_t(sysconf(_SC_PAGESIZE)), PROT_NONE);
  }
  while (blocks.size() < blocks_of_cluster) blocks.push_back(std::make_unique<Block>());
  blocks.resize(blocks_of_cluster);
  while (int(threads.size()) < thread_count) threads.emplace_back();
  stream = uint64_t(cluster), draws = 0;
  // elect.sync elects the same lane of a warp each time; PTX does not say which lane.
  elected = set.schedule == Schedule::round_robin ? 0
            : set.schedule == Schedule::reverse   ? 31
                                                  : int(draw() % 32);
  ended = 0, error = nullptr;
  inbound.clear(), late.clear();
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
    for (Warp& w : b.warps) w.registers = std::min(256, kRegisters / block_threads / 8 * 8);
    b.free_registers = 0, b.register_gate = {};
    for (Barrier& barrier : b.barriers) barrier = {};
    for (Gate& gate : b.wgmma_gates) gate = {};
    b.start = ++clock;
    for (int i = 0; i < block_threads; ++i) {
      const int index = int(r) * block_threads + i;
      Thread& t = threads[size_t(index)];
      t.thread =
          dim3(unsigned(i) % block.x, unsigned(i) / block.x % block.y, unsigned(i) / block.x / block.y);
      t.block = b.index, t.block_size = block, t.grid_size = grid;
      t.in = &b, t.rank = i, t.index = index, t.done = false;
      t.next_waiting = nullptr, t.waits_for = nullptr, t.line = Line();
      t.copies.clear(), t.stores.clear(), t.copy_group = t.store_group = 0;
      t.fence_time = t.init_fence_time = t.fence_published = t.init_fence_published = 0;
      t.reads_published = 0, t.access = nullptr;
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

}  // namespace emulate

}  // namespace dae
