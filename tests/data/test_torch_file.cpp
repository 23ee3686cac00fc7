// PyTorch's checkpoints: files of torch.save (tests/golden/make_files.py), and hostile pickles.
#include <doctest/doctest.h>

#include <map>

#include "data/files/file.h"
#include "data/files/pickle.h"
#include "data/files/tensor_file.h"
#include "kernels/device/error.h"
#include "tests/support/elements.h"
#include "tests/support/error_of.h"
#include "tests/support/folder.h"

namespace dae {

using namespace std::string_literals;

namespace {

const std::string kGolden = DAE_SOURCE "/tests/golden/files/";

using Names = std::vector<std::string>;
Names names(const TorchFile& file) {
  Names out;
  for (const TensorEntry& e : file.entries()) out.push_back(e.name);
  return out;
}
const TensorEntry& entry(const TorchFile& file, const std::string& name) {
  for (const TensorEntry& e : file.entries())
    if (e.name == name) return e;
  FAIL(name);
  return file.entries()[0];
}

// The next functions build the pickle of {"x": call} with a tensor as torch.save writes it, in the old format
// with one storage.
std::string text(const std::string& s) {
  return std::string("X") + char(s.size()) + std::string(3, '\0') + s;
}
std::string integer(int64_t v) {
  std::string out = "\x8a\x08";
  for (int i = 0; i < 8; ++i) out += char(uint64_t(v) >> (8 * i));
  return out;
}
std::string tuple(const std::vector<int64_t>& v) {
  std::string out = "(";
  for (const int64_t i : v) out += integer(i);
  return out + "t";
}
struct Shape {
  int64_t numel = 6, offset = 0;
  std::vector<int64_t> sizes = {2, 3}, strides = {3, 1};
};
std::string tensor(const Shape& s) {
  return "ctorch._utils\n_rebuild_tensor_v2\n(("s + text("storage") + "ctorch\nFloatStorage\n" + text("0") +
         text("cpu") + integer(s.numel) + "tQ" + integer(s.offset) + tuple(s.sizes) + tuple(s.strides) +
         "\x89}tR";
}
std::string old_format(const std::string& body, const std::string& keys = "]"s + text("0") + "a",
                       uint64_t count = 6) {
  std::string out = std::string("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15) +
                    "\x80\x02M\xe9\x03."s + "\x80\x02}" + text("little_endian") + "\x88s." + "\x80\x02" +
                    body + "." + "\x80\x02" + keys + ".";
  for (int i = 0; i < 8; ++i) out += char(count >> (8 * i));
  for (int i = 0; i < 6; ++i) {
    const float v = float(i);
    out.append(reinterpret_cast<const char*>(&v), 4);
  }
  return out;
}
std::string dict(const std::string& value) { return "}"s + text("x") + value + "s"; }

}  // namespace

TEST_CASE("what torch.save wrote, in both formats: dtypes, views, strides, shared storages") {
  for (const char* name : {"torch.pth", "torch-legacy.pth"}) {
    const TorchFile file(kGolden + name);
    INFO(name);
    const std::map<std::string, std::string> dtypes = {{"torch.float32", "F32"}, {"torch.float64", "F64"},
                                                       {"torch.float16", "F16"}, {"torch.bfloat16", "BF16"},
                                                       {"torch.int64", "I64"},   {"torch.int32", "I32"},
                                                       {"torch.int16", "I16"},   {"torch.int8", "I8"},
                                                       {"torch.uint8", "U8"},    {"torch.bool", "BOOL"}};
    for (const auto& [tensor, dtype] : dtypes) {
      CHECK(entry(file, tensor).dtype == dtype);
      CHECK(entry(file, tensor).shape == std::vector<int64_t>{2, 3});
    }
    CHECK(file.entries().size() == dtypes.size() + 9);
    CHECK(entry(file, "shared").shape == std::vector<int64_t>{3, 4});
    CHECK(entry(file, "transposed").shape == std::vector<int64_t>{2, 3});
    CHECK(entry(file, "channels_last").shape == std::vector<int64_t>{2, 3, 2, 2});
    CHECK(entry(file, "stepped").shape == std::vector<int64_t>{6});
    CHECK(entry(file, "scalar").shape.empty());
    CHECK(entry(file, "empty").shape == std::vector<int64_t>{0, 3});
    for (const TensorEntry& e : file.entries()) check_counts(e);
    CHECK(entry(file, "view").bytes == entry(file, "shared").bytes);
  }
}

TEST_CASE("a checkpoint as Lightning nests it: dotted names, numbers beside the tensors") {
  const TorchFile file(kGolden + "lightning.ckpt");
  CHECK(names(file) == Names{"state_dict.model.weight", "state_dict.model.bias",
                             "optimizer_states.0.state.0.step", "optimizer_states.0.state.0.exp_avg",
                             "optimizer_states.0.state.0.exp_avg_sq", "optimizer_states.0.state.1.step",
                             "optimizer_states.0.state.1.exp_avg", "optimizer_states.0.state.1.exp_avg_sq"});
  check_counts(entry(file, "state_dict.model.weight"));
  std::map<std::string, std::string> values(file.values().begin(), file.values().end());
  CHECK(values["epoch"] == "3");
  CHECK(values["global_step"] == "1099511627776");
  CHECK(values["loops.fit_loop.0"] == "None");
  CHECK(values["loops.fit_loop.1"] == "True");
  CHECK(values["hyper_parameters.lr"] == "0.5");
  CHECK(values["hyper_parameters.shape.1"] == "3");
}

TEST_CASE("a pickle that would run something does nothing and is refused by name") {
  const Folder folder;
  const std::string ran = folder / "ran";
  const std::string command = "touch "s + ran;
  for (const auto& [body, named] : std::vector<std::pair<std::string, std::string>>{
           {"cposix\nsystem\n("s + text(command) + "tR", "posix.system"},
           {"cos\nsystem\n("s + text(command) + "tR", "os.system"},
           {"cbuiltins\neval\n("s + text("1") + "tR", "builtins.eval"},
           {"c__builtin__\ngetattr\n("s + text("1") + "tR", "__builtin__.getattr"},
           {text("subprocess") + text("Popen") + "\x93", "subprocess.Popen"},
           {"ctorch\nload\n("s + text("1") + "tR", "torch.load"},
           {"ctorch._utils\n_rebuild_tensor_v2.__globals__\n", "torch._utils._rebuild_tensor_v2.__globals__"},
           {"cnumpy.core.multiarray\n_reconstruct\n", "numpy.core.multiarray._reconstruct"},
           {"("s + text(command) + "iposix\nsystem\n", "opcode 0x69"},
           {"\x82\x01", "opcode 0x82"},
           {"ctorch\nFloatStorage\n)\x81", "opcode 0x81"},
           {"ctorch\nFloatStorage\n)R}b", "sets attributes"},
       }) {
    const std::string error = error_of([&] { TorchFile("a", old_format(dict(body))); });
    CHECK_MESSAGE(error.find(named) != std::string::npos, error);
    CHECK(error.rfind("a: ", 0) == 0);
  }
  CHECK_FALSE(std::filesystem::exists(ran));
}

TEST_CASE("tensors that do not fit their storage, and pickles that are no checkpoint") {
  CHECK(error_of([&] { check_counts(TorchFile("a", old_format(dict(tensor({})))).entries()[0]); }) == "");
  const int64_t far = int64_t{1} << 62;
  for (const Shape& bad : {
           Shape{.numel = 7}, Shape{.numel = far}, Shape{.offset = 1}, Shape{.offset = far},
           Shape{.sizes = {3, 3}}, Shape{.strides = {4, 1}}, Shape{.strides = {far, far}},
           Shape{.strides = {-1, 1}}, Shape{.sizes = {-2, 3}}, Shape{.sizes = {2}},
           Shape{.sizes = {far, far}},
           Shape{.sizes = {1 << 30, 1}, .strides = {0, 0}},  // a tensor of gigabytes from one value
       })
    CHECK_FALSE(error_of([&] { TorchFile("a", old_format(dict(tensor(bad)))); }).empty());
  for (const Shape& good :
       {Shape{.sizes = {1, 6}, .strides = {far, 1}}, Shape{.sizes = {0, 1 << 30}, .strides = {far, far}}})
    CHECK(error_of([&] { TorchFile("a", old_format(dict(tensor(good)))); }) == "");
  for (const std::string& body : {
           std::string("]q\1h\1a"),                   // a list that holds itself
           std::string("}q\1") + text("x") + "h\1s",  // a dict that holds itself
           "}"s + text("x") + "Ns" + text("x.y") + tensor({}) + "s" + text("x") + "}" + text("y") +
               tensor({}) + "ss",
           std::string("h\1"),
           std::string("t"),
           std::string("(0"),
           std::string("Na"),
           std::string("}(Nu"),
           std::string("})Ns"),
           std::string("NR"),
           std::string("\x85"),
           std::string("X\xff\xff\xff\xff"),
           std::string("\x8e\xff\xff\xff\xff\xff\xff\xff\xff"),
           dict("("s + text("storage") + "tQ"),
           dict("NQ"),
       }) {
    CHECK_FALSE(error_of([&] { TorchFile("a", old_format(body)); }).empty());
  }
  // Each list holds the list before twice: 2^40 lists in all.
  std::string laughs = "]"s + tensor({}) + "aq";
  laughs += char(0);
  for (int i = 0; i < 40; ++i) laughs += std::string("](h") + char(i) + "h" + char(i) + "eq" + char(i + 1);
  CHECK(error_of([&] { TorchFile("a", old_format(laughs)); }).find("values") != std::string::npos);
  CHECK_FALSE(
      error_of([&] { TorchFile("a", old_format(dict(tensor({})), "]"s + text("1") + "a")); }).empty());
  CHECK_FALSE(
      error_of([&] { TorchFile("a", old_format(dict(tensor({})), "]"s + text("0") + "a", 7)); }).empty());
  CHECK_FALSE(error_of([&] {
                TorchFile("a", old_format(dict(tensor({})), "]"s + text("0") + "a", ~0ull / 4 + 2));
              }).empty());
  CHECK_FALSE(error_of([&] { TorchFile("a", old_format(dict(tensor({}))) + "x"); }).empty());
  CHECK(error_of([&] { TorchFile("a", "\x80\x02N."); }).find("PyTorch") != std::string::npos);
  CHECK_FALSE(error_of([&] { TorchFile("a", "nothing"); }).empty());
}

TEST_CASE("every cut and every flipped bit is refused or harmless") {
  for (const char* name : {"torch.pth", "torch-legacy.pth", "lightning.ckpt"}) {
    const std::string whole = read_file(kGolden + name);
    for (size_t size = 0; size < whole.size(); ++size)
      CHECK_FALSE(error_of([&] { TensorFile("a", whole.substr(0, size)); }).empty());
    for (size_t bit = 0; bit < 8 * whole.size(); bit += 3) {
      std::string flipped = whole;
      flipped[bit / 8] = char(flipped[bit / 8] ^ (1 << bit % 8));
      error_of([&] {
        size_t sum = 0;
        const TensorFile file("a", flipped);
        for (const TensorEntry& e : file.entries())
          sum += crc_of({static_cast<const char*>(e.bytes), e.size});
        CHECK(sum < ~size_t{0});
      });
    }
  }
}

}  // namespace dae
