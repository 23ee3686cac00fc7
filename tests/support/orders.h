// The orders in which the emulated device runs threads and copies, and its sizes. A real GPU has only its
// own.
#pragma once
#include <doctest/doctest.h>

#include "kernels/device/device.h"
#include "kernels/emulate/emulate.h"

namespace dae {

struct Order {
  emulate::Schedule schedule;
  emulate::Copies copies = emulate::Copies::late;
  int multiprocessors = 3;
  bool late = false;  // streams run as late as allowed
};
// The four schedules with copies as late as allowed, then one with copies as early as allowed. One alone for
// AddressSanitizer, which looks at addresses.
#ifdef __SANITIZE_ADDRESS__
inline constexpr Order kOrders[] = {{emulate::Schedule::random}};
#else
inline constexpr Order kOrders[] = {{emulate::Schedule::round_robin},
                                    {emulate::Schedule::reverse, emulate::Copies::late, 1, true},
                                    {emulate::Schedule::one_warp_first, emulate::Copies::late, 132},
                                    {emulate::Schedule::random},
                                    {emulate::Schedule::one_warp_first, emulate::Copies::early}};
#endif
template <class F>
void in_order(const Order& order, F f) {
  CAPTURE(int(order.schedule));
  CAPTURE(int(order.copies));
  CAPTURE(order.multiprocessors);
  CAPTURE(order.late);
  emulate::set_schedule(order.schedule, 7, order.copies);
  emulate::set_multiprocessors(order.multiprocessors);
  emulate::set_late(order.late);
  f();
  emulate::set_schedule(emulate::Schedule::round_robin);
  emulate::set_multiprocessors(3);
  emulate::set_late(false);
}

// Calls f in every order on the emulated device, and twice on a GPU.
template <class F>
void in_every_order(F f) {
  if constexpr (kCuda == CudaBuild::emulated)
    for (const Order& order : kOrders) in_order(order, f);
  else f(), f();
}

}  // namespace dae
