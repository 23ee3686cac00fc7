// Weights and tensors that a user moves into and out of the program: `dae forward` gives PyTorch's outputs,
// `dae convert` reads every format, `dae inspect` compares. Hostile files do nothing and end with exit code
// 3.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "data/files/file.h"
#include "data/files/npz.h"
#include "tests/support/golden.h"
#include "tests/support/program.h"
#include "train/io/weights.h"
#include "train/learners/registry.h"
#include "train/run/checkpoint.h"

namespace dae {

namespace fs = std::filesystem;

namespace {

const std::string kGolden = DAE_SOURCE "/tests/golden/";
// The sizes of tests/golden/make_golden.py.
const std::string kGan = "--set model.z_dim=8 --set model.width=0.0625 ";
const std::string kToy = "--set model.z_dim=8 --set model.encoder_hidden=16 --set model.decoder_hidden=12 ";

TensorEntry entry(const std::string& name, const Tensor& t) {
  return {name, file_name(t.dtype()), {t.shape().begin(), t.shape().end()}, t.raw(), size_t(t.bytes())};
}
void save_part(const std::string& path, const Golden& golden, const std::string& prefix) {
  std::vector<TensorEntry> entries;
  for (const std::string& name : golden.names(prefix)) entries.push_back(entry(name, golden[prefix + name]));
  REQUIRE_FALSE(entries.empty());
  save_safetensors(path, entries, {});
}
int run(const Folder& folder, const std::string& arguments) {
  std::string error;
  const int code = run(folder, arguments, error);
  INFO(arguments, ": ", error);
  CHECK(error.empty());
  return code;
}
nlohmann::json json(const Folder& folder, const std::string& arguments) {
  return nlohmann::json::parse(output(folder, arguments + " --json"));
}

}  // namespace

TEST_CASE("forward: what PyTorch computes from the same weights, under its names and shapes, to 1e-5") {
  const Folder folder;
  for (const auto& [name, recipe, sets] : std::vector<std::tuple<std::string, std::string, std::string>>{
           {"dcgan", "dcgan-cifar10", kGan}, {"vaegan", "vaegan-cifar10", kGan}, {"toy", "toy", kToy}}) {
    const Golden golden("forward-" + name + ".safetensors");
    save_part(folder / "in.safetensors", golden, "in.");
    save_part(folder / "expected.safetensors", golden, "out.");
    std::vector<std::string> list = {"model.z_dim=8", "model.width=0.0625"};
    if (name == "toy") list = {"model.z_dim=8", "model.encoder_hidden=16", "model.decoder_hidden=12"};
    const auto learner = make_learner(load_recipe(recipe, list));
    fill_by_formula(learner->state());
    save_checkpoint(folder / "weights.safetensors", *learner, {});
    REQUIRE(run(folder,
                "forward " + recipe + " " + sets +
                    "--weights @/weights.safetensors --input @/in.safetensors --output @/out.safetensors") ==
            0);
    CHECK(run(folder, "inspect compare @/out.safetensors @/expected.safetensors --tolerance 1e-5") == 0);
    // As npz and in f64, the outputs equal PyTorch's f32 values up to their rounding.
    REQUIRE(run(folder, "forward " + recipe + " " + sets +
                            "--set dtype=f64 --weights @/weights.safetensors --input @/in.safetensors "
                            "--output @/out.npz") == 0);
    CHECK(run(folder, "inspect compare @/out.npz @/expected.safetensors --tolerance 1e-5") == 0);
    CHECK(run(folder, "inspect compare @/out.npz @/expected.safetensors --tolerance 1e-9") == 1);
  }
}

TEST_CASE(
    "forward: PyTorch's own files, both formats and nested, give PyTorch's outputs; stage 2 and the whole "
    "batch") {
  const Folder folder;
  const Golden golden("forward-toy.safetensors");
  save_part(folder / "in.safetensors", golden, "in.");
  save_part(folder / "expected.safetensors", golden, "out.");
  REQUIRE(run(folder, "convert " + kGolden + "files/toy.ckpt @/toy.safetensors --prefix net.= --model toy " +
                          kToy) == 0);
  for (const std::string& weights :
       {kGolden + "files/toy.pth", kGolden + "files/toy-legacy.pth", std::string("@/toy.safetensors")})
    for (const char* stage : {"", "--stage 2 "}) {
      REQUIRE(run(folder, "forward toy " + kToy + stage + "--weights " + weights +
                              " --input @/in.safetensors --output @/out.safetensors") == 0);
      CHECK(run(folder, "inspect compare @/out.safetensors @/expected.safetensors") == 0);
    }
  // More rows than one pass computes.
  Tensor many({257, 8});
  for (int64_t i = 0; i < many.size(); ++i) many.data<float>()[i] = float(std::sin(double(i)));
  const Tensor few = slice(many, 0, 200, 203);
  save_safetensors(folder / "many.safetensors", {entry("z", many)}, {});
  save_safetensors(folder / "few.safetensors", {entry("z", few)}, {});
  const std::string command = "forward toy " + kToy + "--weights " + kGolden + "files/toy.pth ";
  REQUIRE(run(folder, command + "--input @/many.safetensors --output @/a.safetensors") == 0);
  REQUIRE(run(folder, command + "--input @/few.safetensors --output @/b.safetensors") == 0);
  const TensorFile a(folder / "a.safetensors"), b(folder / "b.safetensors");
  CHECK(a.entries().at(0).shape == std::vector<int64_t>{257, 10});
  CHECK(relative_error(slice(tensor_of("a", a.entries()[0]), 0, 200, 203),
                       tensor_of("b", b.entries().at(0))) < 1e-6);
}

TEST_CASE("forward: bytes (N, H, W, C) are images in [-1, 1]; --init reads PyTorch's files") {
  const Folder folder;
  std::vector<uint8_t> bytes(2 * 32 * 32 * 3);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = uint8_t(i * i % 251);
  save_npz(folder / "bytes.npz", {{"arr_0", "U8", {2, 32, 32, 3}, bytes.data(), bytes.size()}});
  Tensor images({2, 3, 32, 32});
  for (int64_t n = 0; n < 2; ++n)
    for (int64_t c = 0; c < 3; ++c)
      for (int64_t i = 0; i < 1024; ++i)
        images.data<float>()[(n * 3 + c) * 1024 + i] =
            float(bytes[size_t((n * 1024 + i) * 3 + c)] / 127.5 - 1);
  save_safetensors(folder / "floats.safetensors", {entry("x", images)}, {});
  std::vector<std::string> sets = {"model.z_dim=8", "model.width=0.0625"};
  save_checkpoint(folder / "w.safetensors", *make_learner(load_recipe("vaegan-cifar10", sets)), {});
  const std::string command = "forward vaegan-cifar10 " + kGan + "--weights @/w.safetensors ";
  REQUIRE(run(folder, command + "--input @/bytes.npz --output @/a.safetensors") == 0);
  REQUIRE(run(folder, command + "--input @/floats.safetensors --output @/b.npz") == 0);
  CHECK(run(folder, "inspect compare @/a.safetensors @/b.npz --tolerance 1e-6") == 0);

  REQUIRE(run(folder, "train toy -q " + kToy +
                          "--set train.steps=1 --set train.keep=0 --set data.count=128 --init " + kGolden +
                          "files/toy.pth --out @/run") == 0);
  REQUIRE(run(folder, "convert @/run/checkpoints/step-00000000.safetensors @/run.safetensors") == 0);
  CHECK(run(folder, "inspect compare @/run.safetensors " + kGolden + "files/toy.pth --tolerance 0") == 0);
  CHECK(json(folder, "inspect @/run")["values"]["step"] == "1");
}

TEST_CASE("convert: prefixes, dtypes, and how the names fit a model") {
  const Folder folder;
  const std::string nested = kGolden + "files/lightning.ckpt", toy = kGolden + "files/toy.pth";
  const auto names = [&](const std::string& file) {
    std::vector<std::string> out;
    const nlohmann::json found = json(folder, "inspect " + file);
    for (const auto& t : found["tensors"]) out.push_back(t["name"]);
    return out;
  };
  for (const char* prefix :
       {"", "--prefix state_dict.=", "--prefix model.=", "--prefix state_dict.model.=dec.x."}) {
    REQUIRE(run(folder, "convert " + nested + " @/a.safetensors " + prefix) == 0);
    const std::string expected = std::string(prefix).ends_with("x.")       ? "dec.x.weight"
                                 : std::string(prefix).find(" model") == 8 ? "weight"
                                                                           : "model.weight";
    CHECK(names("@/a.safetensors") ==
          std::vector<std::string>{expected, expected.substr(0, expected.size() - 6) + "bias"});
  }
  for (const auto& [dtype, file, tolerance] :
       {std::tuple("bf16", "BF16", 4e-3), {"f16", "F16", 5e-4}, {"f64", "F64", 0.}}) {
    REQUIRE(run(folder, "convert " + toy + " @/b.safetensors --dtype " + dtype) == 0);
    CHECK(json(folder, "inspect @/b.safetensors")["tensors"][0]["dtype"] == file);
    CHECK(run(folder, fmt::format("inspect compare @/b.safetensors {} --tolerance {}", toy, tolerance)) == 0);
  }
  // An empty file is not a model.
  save_safetensors(folder / "empty.safetensors", {}, {});
  std::string line;
  CHECK(run(folder, "convert @/empty.safetensors @/none.safetensors", line) == 3);
  CHECK(line.find("empty.safetensors: expected tensors, found none") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(folder / "none.safetensors"));
  CHECK(run(folder, "convert " + toy + " @/c.safetensors --model toy " + kToy) == 0);
  CHECK(run(folder, "convert " + toy + " @/c.safetensors --model toy") == 1);  // the width differs
  const nlohmann::json fit = nlohmann::json::parse(
      output(folder,
             "convert --json " + toy + " @/c.safetensors --prefix decoder.0=decoder.9 --model toy " + kToy +
                 "--set model.encoder_hidden=17",
             1));
  CHECK_FALSE(fit["fits"].get<bool>());
  CHECK(fit["missing"] == nlohmann::json{"decoder.0.weight (12, 8)", "decoder.0.bias (12)"});
  CHECK(fit["unexpected"] == nlohmann::json{"decoder.9.weight (12, 8)", "decoder.9.bias (12)"});
  CHECK(fit["misshaped"].size() == 5);
  CHECK(fit["misshaped"][0] == "encoder.0.weight: expected shape (17, 10), found (16, 10)");
}

TEST_CASE("inspect: statistics, hashes, and what differs between two files") {
  const Folder folder;
  const std::vector<float> a = {1, 2, -3, 4}, b = {1, 2, -3, 4.5f}, odd = {1, NAN, INFINITY, 3};
  const auto save = [&](const char* file, const std::vector<float>& x, const char* name) {
    save_safetensors(folder / file, {{name, "F32", {2, 2}, x.data(), 16}}, {});
  };
  save("a.safetensors", a, "x"), save("b.safetensors", b, "x"), save("c.safetensors", a, "y"),
      save("odd.safetensors", odd, "x");
  const auto t = json(folder, "inspect @/a.safetensors")["tensors"][0];
  CHECK(t["min"] == -3);
  CHECK(t["max"] == 4);
  CHECK(t["mean"] == 1);
  CHECK(t["std"].get<double>() == doctest::Approx(std::sqrt(26 / 4.)));
  CHECK(t["crc32"] == fmt::format("{:08x}", crc_of({reinterpret_cast<const char*>(a.data()), 16})));
  CHECK(json(folder, "inspect @/odd.safetensors")["tensors"][0]["not_finite"] == 2);
  CHECK(run(folder, "inspect compare @/a.safetensors @/a.safetensors --tolerance 0") == 0);
  CHECK(run(folder, "inspect compare @/a.safetensors @/b.safetensors --tolerance 0.0853") == 1);
  CHECK(run(folder, "inspect compare @/a.safetensors @/b.safetensors --tolerance 0.0855") ==
        0);  // 0.5 / sqrt(34.25) = 0.0854
  CHECK(run(folder, "inspect compare @/a.safetensors @/c.safetensors --tolerance 9") == 1);
  CHECK(run(folder, "inspect compare @/a.safetensors @/odd.safetensors --tolerance 1e300") == 1);
  CHECK(run(folder, "inspect compare @/odd.safetensors @/odd.safetensors --tolerance 0") == 0);
}

TEST_CASE("hostile files end with exit code 3, unsuitable ones with one line, and nothing is written") {
  const Folder folder;
  const std::string ran = folder / "ran";
  const std::string start(
      "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.");
  const std::string evil = "cposix\nsystem\nX" + std::string(1, char(6 + ran.size())) + std::string(3, '\0') +
                           "touch " + ran + "\x85R.";
  write(folder / "evil.pth", start + "\x80\x02" + evil);
  save_zip(folder / "evil-zip.pth", {{"archive/data.pkl", {"\x80\x02", evil}}});
  save_zip(folder / "other.npz", {{"readme", {"x"}}});
  write(folder / "cut.pth", read_file(kGolden + "files/toy.pth").substr(0, 3000));
  write(folder / "text.pth", "not a checkpoint");
  const std::vector<float> six = {0, 1, 2, 3, 4, 5};
  save_npz(folder / "six.npz", {{"x", "F32", {2, 3}, six.data(), 24}});
  save_npz(folder / "names.npz", {{"w", "F32", {2, 3}, six.data(), 24}});
  const std::string forward = "forward toy " + kToy + "--output @/out.npz --weights ";
  for (const BadInput& row : {
           BadInput{"inspect @/evil.pth", 3, {"evil.pth", "posix.system"}},
           BadInput{"inspect @/evil-zip.pth", 3, {"evil-zip.pth", "posix.system"}},
           BadInput{"convert @/evil.pth @/out.safetensors", 3, {"posix.system"}},
           BadInput{"train toy -q --out @/run --init @/evil-zip.pth", 3, {"posix.system"}},
           BadInput{forward + "@/evil.pth --input @/six.npz", 3, {"posix.system"}},
           BadInput{forward + kGolden + "files/toy.pth --input @/evil.pth", 3, {"posix.system"}},
           BadInput{"inspect @/other.npz", 3, {"other.npz", "readme"}},
           BadInput{"inspect @/cut.pth", 3, {"cut.pth", "truncated"}},
           BadInput{"inspect @/text.pth", 3, {"text.pth"}},
           BadInput{"inspect @/none.pth", 3, {"none.pth", "No such file"}},
           BadInput{"inspect @/", 3, {"checkpoint"}},
           BadInput{"inspect", 2, {"file"}},
           BadInput{"inspect compare @/six.npz", 2, {"B"}},
           BadInput{"convert @/six.npz @/out.pth", 2, {".safetensors", "out.pth"}},
           BadInput{"convert @/six.npz @/out.safetensors --prefix x", 2, {"old=new"}},
           BadInput{"convert @/six.npz @/out.safetensors --prefix y.=", 2, {"y."}},
           BadInput{"convert @/six.npz @/out.safetensors --dtype int4", 2, {"int4"}},
           BadInput{forward + "@/six.npz --input @/six.npz", 3, {"six.npz", "12 missing", "another model"}},
           BadInput{forward + kGolden + "files/toy.pth --input @/six.npz", 3, {"x:", "(N, 10)", "(2, 3)"}},
           BadInput{forward + kGolden + "files/toy.pth --input @/names.npz", 3, {"x, z", "found w"}},
       })
    check(folder, row);
  CHECK_FALSE(fs::exists(ran));
  for (const char* name : {"out.npz", "out.safetensors", "out.pth"}) CHECK_FALSE(fs::exists(folder / name));
}

}  // namespace dae
