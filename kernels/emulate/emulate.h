// The emulated device. Every .cu file also compiles as C++ (-DDAE_EMULATE) and runs on the CPU: each CUDA
// thread is a fiber, and the clusters of a launch run in parallel on the cores. The emulated device is for
// tests and for study in a debugger; it is not fast.
//
// Where CUDA leaves the behaviour open, the emulated device chooses the case that shows most bugs:
//   - Shared memory and global memory start as NaN.
//   - A wgmma runs when a thread waits for it, not before.
//   - An asynchronous copy to shared memory runs when a thread waits for it, or at once (Copies).
//   - The bytes of a TMA store arrive in global memory at a wait for them, or when the kernel has ended.
//   - Each thread runs until it has to wait. There are four orders of the threads (Schedule).
//   - mbarrier_try_wait sometimes returns false, elect_one elects any lane, setmaxnreg waits for registers.
//
// An error stops the kernel with a message that names the kernel, block, thread and line. These are errors:
//   - an index outside shared memory;
//   - a barrier that not all threads reach;
//   - a wait that cannot end;
//   - TMA or wgmma on shared memory whose earlier accesses are not ordered by fences (shared.cpp, proxies);
//   - an access to the fragments or accumulators of a wgmma before the wait for it;
//   - an access to global memory that the kernel was not given (memory.h).
//
// The emulated device cannot show bank conflicts, register spills, occupancy, the order of accesses to global
// memory, or a bug that needs two instructions to run at the same time. Threads change only at waits and,
// with Schedule::random, at accesses to shared memory. For each 16 bytes of shared memory only the last
// writer and the last reader are known.
#pragma once
#include <cstdint>

namespace dae {

namespace emulate {

// Which thread runs next when a thread has to wait:
//   round_robin      the next thread that can run
//   reverse          the previous thread that can run
//   one_warp_first   a thread of the same warp, else of the first warp that can run
//   random           any thread, chosen by the seed; threads also change at accesses to shared memory
enum class Schedule { round_robin, reverse, one_warp_first, random };
inline constexpr Schedule kSchedules[] = {Schedule::round_robin, Schedule::reverse, Schedule::one_warp_first,
                                          Schedule::random};

// When cp.async and TMA copies to shared memory take place:
//   late    when a thread waits for them, which shows a missing wait
//   early   as soon as they are started, which shows a buffer that is filled while other threads read it
enum class Copies { late, early };

// How tensor cores add products:
//   round      one after another, each sum rounded to f32
//   truncate   as GPUs do: 16 products (8 before sm_90) and the previous sum at once, where each term is
//              truncated 25 bits (24) below the largest, and the sum is truncated to f32
// `truncate` shows whether the tolerance of a test holds on a GPU.
enum class TensorCores { round, truncate };

// Set the behaviour of all later launches. The environment gives the initial values:
//   DAE_SCHEDULE          round_robin, reverse, one_warp_first or random:SEED; default round_robin
//   DAE_COPIES            late or early; default late
//   DAE_TENSOR_CORES      round or truncate; default round
//   DAE_STREAM            at_once or late; default at_once
//   DAE_MULTIPROCESSORS   1 to 1024; default 3
void set_schedule(Schedule schedule, uint64_t seed = 0, Copies copies = Copies::late);
void set_tensor_cores(TensorCores arithmetic);
void set_compute_capability(int capability);  // initially 90

// Sets whether streams do their work only when the host waits for it (true), or at once (false).
void set_late(bool late);
// Sets the number of multiprocessors of each of the two devices.
void set_multiprocessors(int count);

}  // namespace emulate

}  // namespace dae

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
