// The emulated device: every .cu file compiles as C++ (-DDAE_EMULATE) and runs on the processor, one fiber a
// CUDA thread, blocks spread over the cores. It is for tests and for reading along in a debugger, not fast.
//
// It is as unkind as the rules allow. Shared memory starts as NaN, global memory too. wgmma happens when
// somebody waits for it, not before; asynchronous copies likewise, or else at once; what TMA stores is in
// global memory after a wait for it, or when the kernel has ended. Threads run as far as they can, in one of
// four orders; mbarrier_try_wait fails now and then, elect_one elects any lane, setmaxnreg waits for
// registers. What the rules forbid stops with a message that names kernel, block, thread and line: an index
// outside shared memory, a barrier that not all threads reach, a wait that cannot end, TMA or wgmma on what
// another way to memory has not finished (shared.cpp: proxies), a wgmma whose fragments or accumulators are
// touched before the wait; and global memory that a kernel was not given (memory.h).
//
// It cannot show bank conflicts, spills, occupancy, the order of global memory, or a bug that needs two
// instructions to run at the same time: threads change only at waits and, by seed, at accesses of shared
// memory. Of a place in shared memory it knows the last writer and the last reader, by 16 bytes.
#pragma once
#include <cstdint>

namespace emulate {

// Which thread runs next when one has to wait: the next; the one before; one of its own warp, else of the
// first warp that can; any, by seed, also at accesses of shared memory.
enum class Schedule { round_robin, reverse, one_warp_first, random };
inline constexpr Schedule kSchedules[] = {Schedule::round_robin, Schedule::reverse, Schedule::one_warp_first,
                                          Schedule::random};

// When cp.async and TMA copies to shared memory take place: late, when somebody waits for them, which shows
// a missing wait; early, as soon as they are asked for, which shows a place that is filled while others
// still read it.
enum class Copies { late, early };

// What tensor cores make of a sum: products added one after another, each time rounded to f32; or, as GPUs
// do, 16 of them (8 before sm_90) and the sum so far at once, cut off 25 (24) bits below the largest, the
// result cut off to f32. To see that a test's tolerance holds.
enum class TensorCores { round, truncate };

// For all launches from now on. At the start: DAE_SCHEDULE, "reverse" or "random:7", else round_robin, and
// DAE_COPIES, "early" or "late", else late.
void set_schedule(Schedule schedule, uint64_t seed = 0, Copies copies = Copies::late);
void set_tensor_cores(TensorCores arithmetic);  // at the start DAE_TENSOR_CORES, else round
void set_compute_capability(int capability);    // 90 at the start

// Whether streams do their work when somebody waits for it, and not at once. At the start: DAE_STREAM,
// "late".
void set_late(bool late);
// Of either device. At the start: DAE_MULTIPROCESSORS, else 3.
void set_multiprocessors(int count);

}  // namespace emulate

#ifdef DAE_EMULATE
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstring>
#include <functional>
#include <source_location>
#include <tuple>
#include <vector>

#include "kernels/emulate/instructions.h"
#include "kernels/emulate/runtime.h"
#endif  // DAE_EMULATE
