#include "engine/graph.h"

#include "engine/memory.h"
#include "kernels/device/error.h"

namespace dae {

Graph::~Graph() {
  if constexpr (kHasCuda)
    if (graph_) gpu_free(graph_);
}

void Graph::record(const std::function<void()>& work) {
  if constexpr (kHasCuda) {
    if (graph_) fail(Fault::internal, "graph: it was recorded before");
    arena_ = make_arena();
    enter_arena(arena_);
    gpu_begin_capture();
    try {
      work();
    } catch (...) {
      gpu_drop_capture();
      enter_arena(nullptr);
      throw;
    }
    enter_arena(nullptr);
    graph_ = gpu_end_capture();
  } else {
    fail(Fault::internal, "graph: this build has no CUDA");
  }
}

void Graph::launch() {
  if constexpr (kHasCuda) gpu_launch(graph_);
}

}  // namespace dae
