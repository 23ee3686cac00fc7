#include "tests/rows/rows.h"

namespace dae {

std::vector<Row> elementwise_rows() {
  using V = const std::vector<Tensor>&;
  const Shape odd{3, 5, 7}, one{1}, long_{2, 8191};
  return {
      {"add", "odd", {{odd}, {odd}}, [](V x) { return add(x[0], x[1]); }, {}},
      {"add", "one element", {{one}, {one}}, [](V x) { return add(x[0], x[1]); }, {}},
      {"sub",
       "odd",
       {{odd}, {odd}},
       [](V x) { return sub(x[0], x[1]); },
       [](V x) { return add(x[0], scale(x[1], -1)); }},
      {"mul", "many chunks", {{long_}, {long_}}, [](V x) { return mul(x[0], x[1]); }, {}},
      {"mul", "one operand constant", {{odd}, {odd, -1, 1, false}}, [](V x) { return mul(x[0], x[1]); }, {}},
      {"mul", "with itself", {{odd}}, [](V x) { return mul(x[0], x[0]); }, [](V x) { return square(x[0]); }},
      {"div",
       "odd",
       {{odd}, {odd, 0.5, 2}},
       [](V x) { return div(x[0], x[1]); },
       [](V x) { return mul(x[0], exp(scale(log(x[1]), -1))); }},
      {"scale", "odd", {{odd}}, [](V x) { return scale(x[0], -2.5); }, {}},
      {"shift", "odd", {{odd}}, [](V x) { return shift(x[0], 0.75); }, {}},
      {"scale_by", "odd", {{odd}, wide_input(one)}, [](V x) { return scale_by(x[0], x[1]); }, {}},
      {"square", "odd", {{odd}}, [](V x) { return square(x[0]); }, [](V x) { return mul(x[0], x[0]); }},
      {"sqrt",
       "odd",
       {{odd, 0.3, 2}},
       [](V x) { return sqrt(x[0]); },
       [](V x) { return exp(scale(log(x[0]), 0.5)); }},
      {"exp", "odd", {{odd, -4, 4}}, [](V x) { return exp(x[0]); }, {}},
      {"log", "odd", {{odd, 0.2, 3}}, [](V x) { return log(x[0]); }, {}},
      {"abs",
       "away from 0",
       {{odd, 0.1, 1}},
       [](V x) { return abs(scale(x[0], -1)); },
       [](V x) { return x[0]; }},
      {"clamp", "inside and outside", {{odd, -2, 2}}, [](V x) { return clamp(x[0], -0.7, 0.9); }, {}},
      {"add_bias",
       "prime width",
       {{{3, 5, 37}}, wide_input({37})},
       [](V x) { return add_bias(x[0], x[1]); },
       {}},
      {"gate_add",
       "tokens",
       {{{2, 5, 33}}, {{2, 33}}, {{2, 5, 33}}},
       [](V x) { return gate_add(x[0], x[1], x[2]); },
       {}},
  };
}

}  // namespace dae
