// The orders in which the emulated device runs threads and copies; a GPU has its own.
#pragma once
#include <doctest/doctest.h>

#include "kernels/device.h"
#include "kernels/emulate/emulate.h"

// On the emulated device: calls f in the four schedules with copies as late as allowed, and once with copies
// as early as allowed. On a GPU: twice.
template <class F>
void in_every_order(F f) {
  if constexpr (kCuda == CudaBuild::emulated) {
    const auto run = [&](emulate::Schedule schedule, emulate::Copies copies) {
      CAPTURE(int(schedule));
      CAPTURE(int(copies));
      emulate::set_schedule(schedule, 7, copies);
      f();
    };
    for (const emulate::Schedule schedule : emulate::kSchedules) run(schedule, emulate::Copies::late);
    run(emulate::Schedule::one_warp_first, emulate::Copies::early);
    emulate::set_schedule(emulate::Schedule::round_robin);
  } else {
    f(), f();
  }
}
