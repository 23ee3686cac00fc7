#include "tests/rows/rows.h"

namespace dae {

std::vector<Row> activation_rows() {
  using V = const std::vector<Tensor>&;
  const Shape odd{3, 5, 7};
  const Input wide{odd, -6, 6};
  return {
      {"relu", "both sides", {wide}, [](V x) { return relu(x[0]); }, [](V x) { return leaky_relu(x[0], 0); }},
      {"leaky_relu", "both sides", {wide}, [](V x) { return leaky_relu(x[0], 0.2); }, {}},
      {"sigmoid",
       "wide",
       {wide},
       [](V x) { return sigmoid(x[0]); },
       [](V x) { return exp(sub(x[0], softplus(x[0]))); }},
      {"tanh",
       "wide",
       {wide},
       [](V x) { return tanh(x[0]); },
       [](V x) { return shift(scale(sigmoid(scale(x[0], 2)), 2), -1); }},
      {"tanh", "near 0", {{odd, -0.3, 0.3}}, [](V x) { return tanh(x[0]); }, {}},
      {"silu", "wide", {wide}, [](V x) { return silu(x[0]); }, [](V x) { return mul(x[0], sigmoid(x[0])); }},
      {"gelu", "wide", {wide}, [](V x) { return gelu(x[0]); }, {}},
      {"gelu_tanh",
       "wide",
       {wide},
       [](V x) { return gelu_tanh(x[0]); },
       [](V x) {
         const Tensor cube = mul(x[0], square(x[0]));
         const Tensor u = scale(add(x[0], scale(cube, 0.044715)), 0.7978845608028654);
         return mul(scale(x[0], 0.5), shift(tanh(u), 1));
       }},
      {"softplus",
       "wide",
       {wide},
       [](V x) { return softplus(x[0]); },
       [](V x) { return log(shift(exp(x[0]), 1)); }},
  };
}

}  // namespace dae
