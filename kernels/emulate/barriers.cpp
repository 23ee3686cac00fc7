// Barriers of warps, blocks and clusters, mbarriers, elect_one and setmaxnreg on the emulated device.
#include "kernels/emulate/cluster.h"

namespace dae {

namespace emulate {

int lane() { return now->rank % 32; }
int cluster_rank() { return now->in->rank; }

void complete_if_all(Warp& w, Meeting& m) {
  if (m.mask & ~(m.arrived | w.exited)) return;
  m.compute(m.lanes);
  worker->wake(m.gate);
  m.mask = 0;
  while (!w.meetings.empty() && w.meetings.front().mask == 0) w.meetings.pop_front();
}

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
  publish(false);
  if (m.mask & ~(m.arrived | w.exited)) worker->wait_at(m.gate, what, line);
  else complete_if_all(w, m);
}

namespace {

// Counts the arrival of this thread, and waits for the others if `wait` is true. Returns true for the thread
// that arrives last.
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
  publish(true);
  arrive(b, what, expected, vote, wait, line);
  return b.result;
}
void cluster_barrier(Line line) {
  settle();
  if (worker->ended) stop(line, "divergent barrier: cluster_sync after threads of the cluster have ended");
  publish(true);
  arrive(worker->cluster_barrier, "cluster_sync", worker->thread_count, 0, true, line);
}

void flip_if_over(Mbar& m) {
  if (m.pending > 0 || m.bytes != 0) return;
  m.phase ^= 1, m.pending = m.count;
  worker->wake(m.gate);
}

// The bytes of an initialised mbarrier in shared memory: "mbar" and the index of its state. Other bytes mean
// that it was overwritten.
constexpr uint64_t kMbarrierMark = 0x6d62'6172'0000'0000;
Mbar& mbar_of(void* p, Line line) {
  Block& b = block_of(p, line);
  const uint64_t mark = *static_cast<Mbarrier*>(p), index = mark & 0xffffffff;
  if ((mark >> 32) != (kMbarrierMark >> 32) || index >= b.mbarriers.size() || b.mbarriers[index].at != p)
    stop(line, "not an initialised mbarrier, or one that was overwritten");
  return b.mbarriers[index];
}

void proxy_fence() {
  settle();
  now->fence_time = now->init_fence_time = ++worker->clock;
}
void mbarrier_init_fence() {
  settle();
  now->init_fence_time = ++worker->clock;
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
  publish(true);
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
                      (w.set.schedule == Schedule::random && w.draw() % 2);  // late: when no thread can run
    for (size_t i = 0; !late && i < w.inbound.size() && m.phase == parity;)
      if (w.inbound[i].barrier == &m) w.deliver(i);
      else ++i;
    if (m.phase == parity) w.wait_at(m.gate, "mbarrier_wait", line);
  }
}
bool mbarrier_try_wait(void* p, int parity, Line line) {
  settle();
  mbar_of(p, line);
  if (worker->draw() % 4 == 0) return false;  // as if its time limit had passed, in any phase
  mbarrier_wait(p, parity, line);
  return true;
}

bool elect_one(Line line) {
  warp_meet(
      "elect_one", 0xffffffffu, &line, [](void* const*) {}, line);
  return lane() == worker->elected;
}

void setmaxnreg(int registers, bool increase, Line line) {
  const char* what = increase ? "setmaxnreg_increase" : "setmaxnreg_decrease";
  if (registers % 8 || registers < 24 || registers > 256)
    stop(line, fmt::format("{} to {}; expected a multiple of 8 from 24 to 256", what, registers));
  Block& b = *now->in;
  const int first = now->rank / 128 * 4, mine = now->rank / 32;
  if (first + 4 > int(b.warps.size())) stop(line, fmt::format("{} needs a whole warpgroup", what));
  int none = 0;
  warp_meet(
      what, 0xffffffffu, &none, [](void* const*) {}, line);
  Warp& w = b.warps[size_t(mine)];
  // The first lane that arrives changes the registers of the warp.
  while (w.registers != registers) {
    if (increase != (registers > w.registers))
      stop(line, fmt::format("{} from {} to {} registers", what, w.registers, registers));
    const int more = 32 * (registers - w.registers);
    if (more > b.free_registers) {
      worker->wait_at(b.register_gate, "registers that setmaxnreg_decrease frees", line);
      continue;
    }
    b.free_registers -= more, w.registers = registers;
    worker->wake(b.register_gate);
    w.changes.push_back({registers, line});
    const size_t nth = w.changes.size() - 1;
    for (int i = first; i < first + 4; ++i) {
      const auto& others = b.warps[size_t(i)].changes;
      if (others.size() > nth && others[nth].registers != registers)
        stop(line, fmt::format("{} to {} registers, and to {} in warp {} of the same warpgroup", what,
                               registers, others[nth].registers, i));
    }
  }
}

}  // namespace emulate

}  // namespace dae
