#include "tests/fuzz/readers.h"

using namespace dae;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  read_safetensors({reinterpret_cast<const char*>(data), size});
  return 0;
}
