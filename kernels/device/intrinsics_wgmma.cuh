// wgmma_m64k16, the wrapper of wgmma.mma_async (PTX ISA, wgmma.mma_async). It has its own file because the
// instruction names up to 128 registers. Part of kernels/device/intrinsics.cuh.
#pragma once

namespace dae {

// WGMMA_TEXT_n and WGMMA_OUT_n list the first n registers of an accumulator: as placeholders in the text of
// the instruction, and as operands of the asm statement.
#define WGMMA_TEXT_16 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
#define WGMMA_TEXT_32 \
  WGMMA_TEXT_16       \
  ", "                \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define WGMMA_TEXT_48 \
  WGMMA_TEXT_32       \
  ", "                \
  "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
#define WGMMA_TEXT_64 \
  WGMMA_TEXT_48       \
  ", "                \
  "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define WGMMA_TEXT_96                                                              \
  WGMMA_TEXT_64                                                                    \
  ", "                                                                             \
  "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79" \
  ", "                                                                             \
  "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
#define WGMMA_TEXT_128                                                                         \
  WGMMA_TEXT_96                                                                                \
  ", "                                                                                         \
  "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111" \
  ", "                                                                                         \
  "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define WGMMA_OUT_16                                                                              \
  "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7]), \
      "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15])
#define WGMMA_OUT_32                                                                                       \
  WGMMA_OUT_16, "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]), "+f"(d[21]), "+f"(d[22]), \
      "+f"(d[23]), "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]), "+f"(d[28]), "+f"(d[29]),           \
      "+f"(d[30]), "+f"(d[31])
#define WGMMA_OUT_48                                                                                       \
  WGMMA_OUT_32, "+f"(d[32]), "+f"(d[33]), "+f"(d[34]), "+f"(d[35]), "+f"(d[36]), "+f"(d[37]), "+f"(d[38]), \
      "+f"(d[39]), "+f"(d[40]), "+f"(d[41]), "+f"(d[42]), "+f"(d[43]), "+f"(d[44]), "+f"(d[45]),           \
      "+f"(d[46]), "+f"(d[47])
#define WGMMA_OUT_64                                                                                       \
  WGMMA_OUT_48, "+f"(d[48]), "+f"(d[49]), "+f"(d[50]), "+f"(d[51]), "+f"(d[52]), "+f"(d[53]), "+f"(d[54]), \
      "+f"(d[55]), "+f"(d[56]), "+f"(d[57]), "+f"(d[58]), "+f"(d[59]), "+f"(d[60]), "+f"(d[61]),           \
      "+f"(d[62]), "+f"(d[63])
#define WGMMA_OUT_96                                                                                       \
  WGMMA_OUT_64, "+f"(d[64]), "+f"(d[65]), "+f"(d[66]), "+f"(d[67]), "+f"(d[68]), "+f"(d[69]), "+f"(d[70]), \
      "+f"(d[71]), "+f"(d[72]), "+f"(d[73]), "+f"(d[74]), "+f"(d[75]), "+f"(d[76]), "+f"(d[77]),           \
      "+f"(d[78]), "+f"(d[79]), "+f"(d[80]), "+f"(d[81]), "+f"(d[82]), "+f"(d[83]), "+f"(d[84]),           \
      "+f"(d[85]), "+f"(d[86]), "+f"(d[87]), "+f"(d[88]), "+f"(d[89]), "+f"(d[90]), "+f"(d[91]),           \
      "+f"(d[92]), "+f"(d[93]), "+f"(d[94]), "+f"(d[95])
#define WGMMA_OUT_128                                                                                   \
  WGMMA_OUT_96, "+f"(d[96]), "+f"(d[97]), "+f"(d[98]), "+f"(d[99]), "+f"(d[100]), "+f"(d[101]),         \
      "+f"(d[102]), "+f"(d[103]), "+f"(d[104]), "+f"(d[105]), "+f"(d[106]), "+f"(d[107]), "+f"(d[108]), \
      "+f"(d[109]), "+f"(d[110]), "+f"(d[111]), "+f"(d[112]), "+f"(d[113]), "+f"(d[114]), "+f"(d[115]), \
      "+f"(d[116]), "+f"(d[117]), "+f"(d[118]), "+f"(d[119]), "+f"(d[120]), "+f"(d[121]), "+f"(d[122]), \
      "+f"(d[123]), "+f"(d[124]), "+f"(d[125]), "+f"(d[126]), "+f"(d[127])

// The wgmma.mma_async of shape m64 nN k16, with type T and n accumulator registers. a, b, p and flags are the
// placeholders of the operands, of `accumulate` (scale-d) and of the transpositions.
#define WGMMA_ASM(N, T, n, a, b, p, flags, ...)                                                             \
  HOPPER_ASM("{\n.reg .pred p;\nsetp.ne.b32 p, " p ", 0;\nwgmma.mma_async.sync.aligned.m64n" N "k16.f32." T \
             "." T " {" WGMMA_TEXT_##n "}, " a ", " b ", p, 1, 1, " flags ";\n}"                            \
             : WGMMA_OUT_##n                                                                                \
             : __VA_ARGS__)

// wgmma.mma_async: the warpgroup starts a product of matrices of type T with float accumulators.
//   d (64, N) = a (64, 16) b (16, N)         if `accumulate` is false
//   d (64, N) = d + a (64, 16) b (16, N)     if `accumulate` is true
// a and b lie in shared memory. N is twice the size of d: 32, 64, 96, 128, 192 or 256. In lane l of warp w of
// the warpgroup, d[4 j + {0, 1, 2, 3}] hold these elements:
//   rows      16 w + l / 4 + {0, 0, 8, 8}
//   columns   8 j + 2 (l % 4) + {0, 1, 0, 1}
// d must not be accessed before wgmma_wait.
template <class T, bool TransposedA, bool TransposedB, int Size>
__device__ inline void wgmma_m64k16(float (&d)[Size], Operand<T, TransposedA> a, Operand<T, TransposedB> b,
                                    bool accumulate) {
  static_assert(std::is_same_v<T, bf16> || std::is_same_v<T, f16>);
#define WGMMA_CASE(N, n, a_text, b_text, p_text, flags)                                            \
  if constexpr (Size == n) {                                                                       \
    if constexpr (std::is_same_v<T, bf16>)                                                         \
      WGMMA_ASM(N, "bf16", n, a_text, b_text, p_text, flags, "l"(a.descriptor), "l"(b.descriptor), \
                "r"(int(accumulate)), "n"(int(TransposedA)), "n"(int(TransposedB)));               \
    else                                                                                           \
      WGMMA_ASM(N, "f16", n, a_text, b_text, p_text, flags, "l"(a.descriptor), "l"(b.descriptor),  \
                "r"(int(accumulate)), "n"(int(TransposedA)), "n"(int(TransposedB)));               \
  }
  WGMMA_CASE("32", 16, "%16", "%17", "%18", "%19, %20")
  WGMMA_CASE("64", 32, "%32", "%33", "%34", "%35, %36")
  WGMMA_CASE("96", 48, "%48", "%49", "%50", "%51, %52")
  WGMMA_CASE("128", 64, "%64", "%65", "%66", "%67, %68")
  WGMMA_CASE("192", 96, "%96", "%97", "%98", "%99, %100")
  WGMMA_CASE("256", 128, "%128", "%129", "%130", "%131, %132")
#undef WGMMA_CASE
}
// The same product with a in registers. Warp w holds rows 16 w to 16 w + 15 of a, in the layout of a in
// mma_m16n8k16.
template <class T, bool TransposedB, int Size>
__device__ inline void wgmma_m64k16(float (&d)[Size], const uint32_t (&a)[4], Operand<T, TransposedB> b,
                                    bool accumulate) {
  static_assert(std::is_same_v<T, bf16> || std::is_same_v<T, f16>);
#define WGMMA_CASE(N, n, a_text, b_text, p_text, flags)                                                  \
  if constexpr (Size == n) {                                                                             \
    if constexpr (std::is_same_v<T, bf16>)                                                               \
      WGMMA_ASM(N, "bf16", n, a_text, b_text, p_text, flags, "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), \
                "l"(b.descriptor), "r"(int(accumulate)), "n"(int(TransposedB)));                         \
    else                                                                                                 \
      WGMMA_ASM(N, "f16", n, a_text, b_text, p_text, flags, "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]),  \
                "l"(b.descriptor), "r"(int(accumulate)), "n"(int(TransposedB)));                         \
  }
  WGMMA_CASE("32", 16, "{%16, %17, %18, %19}", "%20", "%21", "%22")
  WGMMA_CASE("64", 32, "{%32, %33, %34, %35}", "%36", "%37", "%38")
  WGMMA_CASE("96", 48, "{%48, %49, %50, %51}", "%52", "%53", "%54")
  WGMMA_CASE("128", 64, "{%64, %65, %66, %67}", "%68", "%69", "%70")
  WGMMA_CASE("192", 96, "{%96, %97, %98, %99}", "%100", "%101", "%102")
  WGMMA_CASE("256", 128, "{%128, %129, %130, %131}", "%132", "%133", "%134")
#undef WGMMA_CASE
}
#undef WGMMA_TEXT_16
#undef WGMMA_OUT_16
#undef WGMMA_TEXT_32
#undef WGMMA_OUT_32
#undef WGMMA_TEXT_48
#undef WGMMA_OUT_48
#undef WGMMA_TEXT_64
#undef WGMMA_OUT_64
#undef WGMMA_TEXT_96
#undef WGMMA_OUT_96
#undef WGMMA_TEXT_128
#undef WGMMA_OUT_128
#undef WGMMA_ASM

}  // namespace dae
